"""Ask a running service what to say to a customer: python examples/client.py [HOST:PORT]."""

import sys
import uuid

import grpc

from takt.v1 import decision_pb2, decision_pb2_grpc

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"
service = decision_pb2_grpc.DecisionServiceStub(grpc.insecure_channel(address))
request = decision_pb2.DecideRequest(request_id=str(uuid.uuid4()), profile_id="hh-0042")
request.placements.add(placement="home_tiles")
request.context["page"].string_value = "home"
for tile in service.Decide(request, timeout=1).placements:
    print(decision_pb2.PlacementStatus.Name(tile.status), tile.fallback)
    for offer in tile.offers:
        print(f"  {offer.rank}. {offer.offer}, {offer.tonality}: accepted with P = {offer.score.acceptance:.3f}")
