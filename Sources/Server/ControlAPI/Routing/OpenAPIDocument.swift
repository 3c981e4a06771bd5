// The OpenAPI 3.1 document of the control API, made from the table of routes. Pure; served at `/api/v1/openapi.json`.
import Engine
import HTTPTypes

enum OpenAPIDocument {
    static func of(_ table: RouteTable, version: String) -> JSONValue {
        var paths: [String: JSONValue] = [:]
        var schemas: [String: JSONValue] = [:]
        collect(ProblemDocument.schema, into: &schemas)
        for route in table.routes {
            var methods: [String: JSONValue] = [:]
            if case .object(let own)? = paths[route.path] { methods = own }
            methods[route.method.rawValue.lowercased()] = operation(route, table.access(route), &schemas)
            paths[route.path] = .object(methods)
        }
        RequestForms.mark(&schemas, of: table.routes)
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Sluice control API", "version": .text(version),
                "description":
                    .text(about),
            ],
            "servers": [["url": "/"]],
            "paths": .object(paths),
            "components": [
                "schemas": .object(schemas), "securitySchemes": ["key": ["type": "http", "scheme": "bearer"]],
            ],
            "security": [["key": []]],
        ]
    }

    private static let about =
        "Operate a gateway: sources, endpoints, deliveries, events, replays, configuration. Calls that "
        + "change something "
        + "need the header `X-Sluice-Request: 1`. `x-sluice-role` is the least role of the key that an operation "
        + "asks for, and `x-sluice-scope` whether a tenant's key will do (`tenant`) or only one of all tenants "
        + "(`gateway`)."

    private static func operation(
        _ route: Route, _ access: Access, _ schemas: inout [String: JSONValue]
    ) -> JSONValue {
        var operation: [String: JSONValue] = [
            "operationId": .text(route.operation), "summary": .text(route.summary), "tags": [.text(route.resource)],
            "parameters": .list(parameters(route, access)), "responses": responses(route, access, &schemas),
        ]
        switch access {
        case .anyone: operation["security"] = []
        case .tenant(let role): operation.merge(roleNote(role, "tenant")) { $1 }
        case .gateway(let role): operation.merge(roleNote(role, "gateway")) { $1 }
        }
        if route.isDeprecated { operation["deprecated"] = true }
        if let body = route.body { operation["requestBody"] = requestBody(body, &schemas) }
        return .object(operation)
    }

    private static func roleNote(_ role: KeyRole, _ scope: String) -> [String: JSONValue] {
        ["x-sluice-role": .text(role.name), "x-sluice-scope": .text(scope)]
    }

    private static func parameters(_ route: Route, _ access: Access) -> [JSONValue] {
        var parameters = route.parameterNames.map { name -> JSONValue in
            ["name": .text(name), "in": "path", "required": true, "schema": ["type": "string"]]
        }
        parameters += route.query.map { parameter in
            var members: [String: JSONValue] = [
                "name": .text(parameter.name), "in": "query", "description": .text(parameter.about),
                "schema": schema(parameter.form),
            ]
            // Without a value it is as if it were not there.
            if route.surface != .svix { members["allowEmptyValue"] = true }
            return .object(members)
        }
        if route.isTagged {
            parameters.append([
                "name": "If-None-Match", "in": "header", "schema": ["type": "string"],
                "description": "The `ETag` of an earlier answer: 304 when it is the same still.",
            ])
        }
        if case .tenant = access, route.surface != .contract {
            parameters.append([
                "name": .text(SignIn.tenantHeader.rawName), "in": "header",
                "description": "The tenant that a key of all tenants acts for: UUID, id, uid or name.",
                "schema": ["type": "string"],
            ])
        }
        if route.surface == .svix, route.method == .post {
            parameters.append([
                "name": "idempotency-key", "in": "header", "schema": ["type": "string"],
                "description": "A repetition within twelve hours is answered as the first call was, and does nothing.",
            ])
        } else if route.surface == .contract {
            parameters += envelope(of: route)
        } else if route.surface == .own, route.method != .get {
            parameters.append([
                "name": .text(BrowserGuard.header.rawName), "in": "header", "required": true,
                "schema": ["type": "string", "const": "1"],
            ])
        }
        return parameters
    }
    /// The headers of the contract.
    private static func envelope(of route: Route) -> [JSONValue] {
        guard let traits = route.edge, traits.needsEnvelope else { return [] }
        let isMutation = route.method != .get
        let headers: [(name: String, isRequired: Bool, about: String)] = [
            ("X-Zen-Contract-Version", true, "One of the versions that are served: `v0`, `v1alpha1`."),
            ("X-Tenant-Id", true, "The session's tenant: a UUID."),
            ("X-Request-Id", isMutation, "A UUID of version 4; names the call, and tells a repetition of it."),
            ("X-Signature", traits.needsProof, "Hexadecimal HMAC-SHA256 over `X-Request-Id.X-Timestamp.body`."),
            ("X-Timestamp", traits.needsProof, "Unix seconds, beside a signature."),
            ("X-Idempotency-Key", false, "A UUID, in place of `X-Request-Id` where a repetition is told."),
        ]
        return headers.filter { isMutation || $0.name != "X-Idempotency-Key" }.map { header in
            [
                "name": .text(header.name), "in": "header", "required": .bool(header.isRequired),
                "description": .text(header.about), "schema": ["type": "string"],
            ]
        }
    }
    private static func schema(_ form: QueryParameter.Form) -> JSONValue {
        switch form {
        case .text: ["type": "string"]
        case .word(let words): ["type": "string", "enum": .list(words.map { .text($0) })]
        case .count(let range): integer(range)
        case .flag: ["type": "boolean"]
        case .time: ["type": "string", "format": "date-time"]
        }
    }

    private static func requestBody(_ body: Route.Body, _ schemas: inout [String: JSONValue]) -> JSONValue {
        let content: JSONValue
        switch body {
        case .json(let schema, _): content = ["application/json": ["schema": collect(schema, into: &schemas)]]
        case .oneOf(let forms):
            let references = forms.map { collect($0, into: &schemas) }
            content = ["application/json": ["schema": ["oneOf": .list(references)]]]
        case .payload(let schema):
            content = .object([
                "application/json": ["schema": collect(schema, into: &schemas)], "*/*": ["schema": [:]],
            ])
        case .manifest:
            content = [
                "application/yaml": ["schema": ["type": "string"]], "application/json": ["schema": ["type": "object"]],
            ]
        }
        return ["required": .bool(!body.isOptional), "content": content]
    }

    private static func responses(
        _ route: Route, _ access: Access, _ schemas: inout [String: JSONValue]
    ) -> JSONValue {
        var responses: [String: JSONValue] = [:]
        var success: [String: JSONValue] = ["description": .text(route.status.reasonPhrase)]
        switch route.answer {
        case .json(let schema):
            success["content"] = ["application/json": ["schema": collect(schema, into: &schemas)]]
        case .list(let schema):
            let items: JSONValue = ["type": "array", "items": collect(schema, into: &schemas)]
            success["content"] = ["application/json": ["schema": items]]
        case .document: success["content"] = ["application/json": ["schema": ["type": "object"]]]
        case .text(let type): success["content"] = .object([type: ["schema": ["type": "string"]]])
        case .nothing: break
        }
        responses["\(route.status.code)"] = .object(success)
        if let other = route.otherStatus { responses["\(other)"] = .object(success) }
        if route.isTagged { responses["304"] = ["description": "It is the one that `If-None-Match` names."] }
        if route.surface != .own {
            describeRefusals(of: route, access, &responses, &schemas)
            return .object(responses)
        }
        for (status, codes) in Dictionary(grouping: route.allProblems(access), by: \.status) {
            let words = codes.map { "`\($0.rawValue)`" }.joined(separator: ", ")
            var problem: [String: JSONValue] = ["description": .text(words)]
            if !route.isDeprecated {
                problem["content"] = .object([
                    ProblemDocument.contentType: ["schema": collect(ProblemDocument.schema, into: &schemas)]
                ])
            }
            responses["\(status)"] = .object(problem)
        }
        return .object(responses)
    }

    /// In the form of the surface.
    private static func describeRefusals(
        of route: Route, _ access: Access, _ responses: inout [String: JSONValue],
        _ schemas: inout [String: JSONValue]
    ) {
        var statuses = [421, 500, 503]
        if access != .anyone { statuses += [400, 401, 403, 404, 409, 413, 422, 429] }
        if route.surface != .svix, route.body != nil { statuses.append(415) }
        for status in statuses where responses["\(status)"] == nil {
            let svix = status == 422 ? SvixError.validationSchema : SvixError.schema
            let schema =
                switch route.surface {
                case .webhooks: WebhookFailure.schema
                case .contract: ContractSchemas.failure
                case .own, .svix: svix
                }
            responses["\(status)"] = [
                "description": .text(HTTPResponse.Status(code: status).reasonPhrase),
                "content": ["application/json": ["schema": collect(schema, into: &schemas)]],
            ]
        }
    }

    /// A reference to the schema, which is put among the components.
    @discardableResult private static func collect(
        _ schema: ObjectSchema, into schemas: inout [String: JSONValue]
    ) -> JSONValue {
        let reference: JSONValue = ["$ref": .text("#/components/schemas/\(schema.name)")]
        guard schemas[schema.name] == nil else { return reference }
        // Taken before its fields are looked at, so that an object that holds itself comes to an end.
        schemas[schema.name] = .null
        var properties: [String: JSONValue] = [:]
        for field in schema.fields {
            var form = json(field.schema, &schemas)
            if case .object(var members) = form {
                members["description"] = .text(field.about)
                form = .object(members)
            }
            properties[field.name] = form
        }
        let required = schema.fields.filter(\.isRequired).map { JSONValue.text($0.name) }
        schemas[schema.name] = [
            "type": "object", "description": .text(schema.about), "properties": .object(properties),
            "required": .list(required),
        ]
        return reference
    }
    private static func json(_ schema: Schema, _ schemas: inout [String: JSONValue]) -> JSONValue {
        switch schema {
        case .text, .duration: ["type": "string"]
        case .time: ["type": "string", "format": "date-time"]
        case .word(let words): ["type": "string", "enum": .list(words.map { .text($0) })]
        case .flag: ["type": "boolean"]
        case .integer(let range): integer(range)
        case .number(let range): number(range)
        case .list(let element, let countMax):
            if let countMax {
                ["type": "array", "items": json(element, &schemas), "maxItems": .integer(Int64(countMax))]
            } else {
                ["type": "array", "items": json(element, &schemas)]
            }
        case .map(let element): ["type": "object", "additionalProperties": json(element, &schemas)]
        case .object(let schema): collect(schema, into: &schemas)
        case .flagOr(let schema): ["oneOf": [["type": "boolean"], collect(schema, into: &schemas)]]
        case .integerOr(let range, let schema): ["oneOf": [integer(range), collect(schema, into: &schemas)]]
        case .orNull(let element): ["oneOf": [json(element, &schemas), ["type": "null"]]]
        case .anything: [:]
        }
    }
    private static func number(_ range: ClosedRange<Double>?) -> JSONValue {
        var members: [String: JSONValue] = ["type": "number"]
        if let low = range?.lowerBound, low.isFinite { members["minimum"] = .number(low) }
        if let high = range?.upperBound, high.isFinite { members["maximum"] = .number(high) }
        return .object(members)
    }
    private static func integer(_ range: ClosedRange<Int>) -> JSONValue {
        var members: [String: JSONValue] = ["type": "integer", "minimum": .integer(Int64(range.lowerBound))]
        if range.upperBound < Int.max { members["maximum"] = .integer(Int64(range.upperBound)) }
        return .object(members)
    }
}
