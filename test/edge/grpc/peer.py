"""A second implementation of gRPC and protobuf: asks the checks that stand on its input, prints what came back.

Arguments: address, descriptor set. Input: a JSON list of {request, metadata, gzip, deadline}.
"""
import json
import sys

import grpc
from google.protobuf import descriptor_pb2, json_format, message_factory

CHECK = "/envoy.service.auth.v3.Authorization/Check"


def messages(path):
    with open(path, "rb") as file:
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    return message_factory.GetMessages(files.file)


def ended(call):
    try:
        response = call.result()
    except grpc.RpcError as error:
        return {"error": error.code().name}
    # strict: a field that this side does not know, or a text that is no UTF-8, is an error
    text = json_format.MessageToDict(response, preserving_proto_field_name=True)
    return {"code": response.status.code, "kind": response.WhichOneof("http_response"), "response": text}


def main(address, descriptors):
    known = messages(descriptors)
    request = known["envoy.service.auth.v3.CheckRequest"]
    response = known["envoy.service.auth.v3.CheckResponse"]
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            CHECK, request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )
        calls = [
            check.future(
                json_format.ParseDict(one["request"], request()),
                metadata=tuple(one["metadata"].items()),
                timeout=one.get("deadline", 20),
                compression=grpc.Compression.Gzip if one.get("gzip") else None,
            )
            for one in json.load(sys.stdin)
        ]
        json.dump([ended(call) for call in calls], sys.stdout)


main(*sys.argv[1:])
