"""A second implementation of gRPC and protobuf: asks the checks that stand on its input, prints what came back.

Arguments: address, descriptor set, and for TLS the files of the CA, the certificate and the key of this side.
Input: a JSON list of {request, metadata, gzip, deadline}.
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


def read(path):
    with open(path, "rb") as file:
        return file.read()


def channel_to(address, files):
    if not files:
        return grpc.insecure_channel(address)
    ca, *own = (read(path) for path in files)
    certificate, key = own if own else (None, None)
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.secure_channel(address, credentials, (("grpc.ssl_target_name_override", "localhost"),))


def main(address, descriptors, *files):
    known = messages(descriptors)
    request = known["envoy.service.auth.v3.CheckRequest"]
    response = known["envoy.service.auth.v3.CheckResponse"]
    with channel_to(address, files) as channel:
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
