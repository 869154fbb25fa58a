"""Writes contacts.csv: simulated contacts of a shop that sold garden and kitchen things by mail and on the web.

Nobody is real. People differ in what they like and in what they pay; evenings suit those who visited in the evening;
a tenth was told nothing. Run it again and the file is the same.

    python examples/table/simulate.py [ROWS]
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

ROWS = 6000
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
OFFERS = (  # id, price, department
    ("lawn-mower", 299.0, "garden"),
    ("rose-bush", 19.9, "garden"),
    ("watering-can", 12.5, "garden"),
    ("knife-set", 80.0, "kitchen"),
    ("tea-towel", 6.0, "kitchen"),
    ("kettle", 39.0, "kitchen"),
)
HEADER = (
    "customer,sent_at,offer,price,department,visits_30d,days_since_order,segment,member_since,garden_share,slot,channel,"
    "tone,probability,bought,bought_at,revenue,unsubscribed"
)


def main(rows: int) -> None:
    """Write the file beside this script."""
    rng = np.random.default_rng(7)
    people = rows // 4
    visits = rng.poisson(rng.gamma(1.5, 3.0, people))
    order = np.round(rng.gamma(1.2, 40.0, people)).astype(int)
    segment = rng.choice(["budget", "family", "premium"], people, p=[0.4, 0.4, 0.2])
    member = [START - timedelta(days=int(days)) for days in rng.integers(10, 2500, people)]
    garden = np.round(rng.beta(0.7, 0.7, people), 2)
    lines = [HEADER]
    for minute in np.sort(rng.integers(0, 150 * 24 * 60, rows)):
        who = int(rng.integers(people))
        sent = START + timedelta(minutes=int(minute))
        told = rng.random() < 0.9
        name, price, department = OFFERS[int(rng.integers(len(OFFERS)))]
        slot = ("now", "tonight", "weekend")[int(rng.integers(3))]
        channel = ("web", "email")[int(rng.integers(2))]
        tone = ("factual", "warm")[int(rng.integers(2))]
        share = garden[who] if department == "garden" else 1 - garden[who]
        eta = -2.6 + 1.8 * share + 0.08 * min(int(visits[who]), 15) - 0.012 * min(int(order[who]), 120)
        eta -= {"budget": 0.012, "family": 0.007, "premium": 0.003}[str(segment[who])] * price
        eta += (0.5 if tone == "warm" else 0.0) * (1 if segment[who] == "family" else -1)
        eta += 0.6 if slot == "tonight" and visits[who] > 5 else 0.0
        bought = rng.random() < 1 / (1 + np.exp(-(eta if told else -3.2)))
        revenue = round(float(price * rng.uniform(0.8, 1.3)), 2) if bought else ""
        later = sent + timedelta(hours=float(rng.exponential(60.0)))
        gone = told and rng.random() < (0.03 if tone == "factual" else 0.015) * (1 + int(visits[who] < 2))
        age = "" if rng.random() < 0.08 else int(order[who])
        lines.append(
            ",".join(
                str(cell)
                for cell in (
                    f"c{who:05d}",
                    sent.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    *((name, price, department) if told else ("", "", "")),
                    int(visits[who]),
                    age,
                    segment[who],
                    member[who].strftime("%Y-%m-%d"),
                    garden[who],
                    *((slot, channel, tone) if told else ("", "", "")),
                    0.1 if not told else round(0.9 / len(OFFERS) / 12, 6),
                    int(bought),
                    later.strftime("%Y-%m-%dT%H:%M:%SZ") if bought else "",
                    revenue,
                    int(gone),
                )
            )
        )
    (Path(__file__).parent / "contacts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
