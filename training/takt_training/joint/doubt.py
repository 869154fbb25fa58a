"""How unsure acceptance is, on the log-odds scale: what is known of people like this, and of this offer.

A Laplace approximation of the last layer, in two independent parts: the person's, by the information matrix of phi
over training, and the offer's own level, by the information gathered on its code. Arms are not told apart, and what
the hidden layer might have become is not counted: a lower bound, good for comparing, and for exploring the less known.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from takt_training.graph import Graph
from takt_training.joint.contacts import Contacts, Floats, Ints
from takt_training.joint.fitting import Encoded
from takt_training.joint.head import LEAST_CHANCE, Head, Sides
from takt_training.joint.network import PENALTIES
from takt_training.preparation import Floats32

MOST_ROWS = 50_000


class Doubt(Struct, frozen=True, eq=False):
    """F = width of phi."""

    root: Floats32
    """float32 [1 + F, 1 + F]: [1, phi] @ root has the squared length that is the person's variance."""
    of_code: Floats32
    """float32 [codes]: variance of each offer's level; code 0 has the prior's."""
    scale: float
    """Of the calibration, which stretches log-odds and so their errors."""

    def apply(self, phi: Floats32, codes: Ints) -> Floats32:
        """Standard errors [n, m] of persons phi [n, F] and offers with codes [m]."""
        person = ((np.concatenate([np.ones((len(phi), 1)), phi], axis=1) @ self.root) ** 2).sum(1)
        return np.asarray(self.scale * np.sqrt(person[:, None] + self.of_code[codes]), np.float32)

    def graph(self, graph: Graph, head: Head, sides: Sides) -> str:
        """`apply` as nodes; the output `uncertainty` [batch, 1, 1, offers].

        Of a lift, times its share in the log-odds of acceptance: [batch, timings, tonalities, offers].
        """
        product = graph.add(
            "MatMul", f"{head.name}_phi", graph.constant("doubt_root", self.root[1:]), to="doubt_product"
        )
        moved = graph.add("Add", product, graph.constant("doubt_base", self.root[0]), to="doubt_vectors")
        squares = graph.add("Mul", moved, moved, to="doubt_squares")
        axis = graph.constant("doubt_axis", [1], np.int64)
        person = graph.add("ReduceSum", squares, axis, to="doubt_of_person", keepdims=1)
        of_code = graph.add(
            "Gather", graph.constant("doubt_codes", self.of_code), sides.code, to="doubt_of_code", axis=0
        )
        error = graph.add("Sqrt", graph.add("Add", person, of_code, to="doubt_variance"), to="doubt_error")
        scaled = graph.add("Mul", error, graph.constant("doubt_scale", self.scale), to="doubt_scaled")
        middle = graph.constant("middle_axes", [1, 2], np.int64)
        if head.over is None:
            return graph.add("Unsqueeze", scaled, middle, to="uncertainty")
        spread = graph.add("Unsqueeze", scaled, middle, to="doubt_of_lift")
        least = graph.add("Max", head.name, graph.constant("least_chance", LEAST_CHANCE), to="chance")
        return graph.add("Mul", spread, graph.add("Div", "lift", least, to="share_of_lift"), to="uncertainty")


def person_features(head: Head, z: Floats32) -> Floats32:
    """Features phi [n, F] of encoded persons z [n, Z]."""
    p = head.parameters
    return np.concatenate([z, np.tanh(z @ p["hidden"] + p["hidden_bias"])], axis=1)


def fit_doubt(
    contacts: Contacts, encoded: Encoded, head: Head, rows: Ints, *, information: Floats, penalty: float
) -> Doubt:
    """From training rows and the `information` [k] in each on its linear predictor."""
    every = max(1, -(-len(rows) // MOST_ROWS))
    phi = person_features(head, encoded.persons.apply(contacts.persons(rows[::every])))
    psi = np.concatenate([np.ones((len(phi), 1)), phi], axis=1, dtype=np.float64)
    strength = max(penalty, 1e-3)
    matrix = (psi * information[::every, None]).T @ psi * every + 2 * strength * PENALTIES["main"] * np.eye(
        psi.shape[1]
    )
    root = np.linalg.cholesky(np.linalg.inv(matrix))
    codes = contacts.codes(encoded.vocabulary)[contacts.offer[rows]]
    gathered = np.bincount(codes, information, len(encoded.vocabulary) + 1)
    gathered[0] = 0.0
    of_code = 1 / (gathered + 2 * strength * PENALTIES["code_level"])
    return Doubt(root.astype(np.float32), of_code.astype(np.float32), head.curve.scale)
