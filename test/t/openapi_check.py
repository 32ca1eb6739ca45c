#!/usr/bin/python3
"""Is openapi.json well made, and are answers of the API what it says?

usage: openapi_check.py openapi.json CALLS

Each line of the file CALLS is a JSON object: method, path (as in the document), status, type (media type) and body (text) of a
call.  Prints a line for everything that is wrong, then "checked N calls".
"""
import json
import sys

import jsonschema

METHODS = ("get", "put", "post", "patch", "delete")


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method], item.get("parameters", [])


def resolve(document, node):
    while "$ref" in node:
        target = document
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = target
    return node


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def check_document(document, resolver):
    wrong = []
    ids = set()
    for reference in references(document):
        try:
            resolve(document, {"$ref": reference})
        except KeyError:
            wrong.append(f"{reference} leads nowhere")
    for name, schema in document["components"]["schemas"].items():
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            wrong.append(f"schema {name}: {error.message}")
        validator = jsonschema.Draft202012Validator(schema, resolver=resolver, format_checker=jsonschema.FormatChecker())
        for example in schema.get("examples", []):
            wrong += [f"example of {name}: {error.message}" for error in validator.iter_errors(example)]
    for method, path, operation, shared in operations(document):
        where = f"{method.upper()} {path}"
        if operation["operationId"] in ids:
            wrong.append(f"{where}: operationId {operation['operationId']} is there twice")
        ids.add(operation["operationId"])
        if "x-jobsched-role" not in operation and operation.get("security") != []:
            wrong.append(f"{where}: no x-jobsched-role")
        parameters = [resolve(document, p) for p in shared + operation.get("parameters", [])]
        named = {p["name"] for p in parameters if p["in"] == "path"}
        wanted = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        if named != wanted:
            wrong.append(f"{where}: parameters {sorted(named)} in the path {sorted(wanted)}")
    return wrong


def check_call(document, resolver, call):
    where = f"{call['method']} {call['path']} {call['status']}"
    operation = document["paths"].get(call["path"], {}).get(call["method"].lower())
    if operation is None:
        return [f"{where}: not documented"]
    responses = operation["responses"]
    response = responses.get(str(call["status"]), responses.get(f"{call['status'] // 100}XX"))
    if response is None:
        return [f"{where}: this status is not documented"]
    content = resolve(document, response).get("content", {})
    if not content:
        return [f"{where}: a body: {call['body'][:100]}"] if call["body"] else []
    if "*/*" in content:
        return []
    if call["type"] not in content:
        return [f"{where}: {call['type']} instead of {' or '.join(content)}"]
    validator = jsonschema.Draft202012Validator(
        content[call["type"]]["schema"], resolver=resolver, format_checker=jsonschema.FormatChecker())
    return [
        f"{where}: {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in validator.iter_errors(json.loads(call["body"]))
    ]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    resolver = jsonschema.RefResolver.from_schema(document)
    wrong = check_document(document, resolver)
    with open(sys.argv[2], encoding="utf-8") as file:
        calls = [json.loads(line) for line in file]
    for call in calls:
        wrong += check_call(document, resolver, call)
    for text in wrong:
        print(text)
    print(f"checked {len(calls)} calls")


main()
