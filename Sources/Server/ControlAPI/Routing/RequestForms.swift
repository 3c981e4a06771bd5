// What the published document says of the objects in bodies of requests, beside their fields: whether more keys than
// those are taken, and that `null` stands for what is absent. Pure.
//
// Invariant: the document refuses what the readers of bodies refuse (`SchemaCheck`, `WebhookBody`), and takes what
// they take. The Svix-shaped API leaves alone what it does not know, so that nothing is closed there.
import Engine

enum RequestForms {
    /// Marks the schemas of objects that bodies have in them.
    static func mark(_ schemas: inout [String: JSONValue], of routes: [Route]) {
        for route in routes where !route.isDeprecated {
            let own = route.surface == .own || route.surface == .contract
            for object in objects(of: route.body) where route.surface != .svix {
                mark(object, takesNull: own, isDeep: own, &schemas)
            }
        }
    }

    private static func objects(of body: Route.Body?) -> [ObjectSchema] {
        switch body {
        case .json(let schema, _)?: [schema]
        case .oneOf(let forms)?: forms
        case .payload(let schema)?: [schema]
        case .manifest?, nil: []
        }
    }

    private static func mark(
        _ object: ObjectSchema, takesNull: Bool, isDeep: Bool, _ schemas: inout [String: JSONValue]
    ) {
        guard case .object(var members)? = schemas[object.name], members["additionalProperties"] == nil else { return }
        members["additionalProperties"] = false
        if takesNull, case .object(var properties)? = members["properties"] {
            for field in object.fields where !field.isRequired {
                properties[field.name] = properties[field.name].map { orNull($0, field) }
            }
            members["properties"] = .object(properties)
        }
        schemas[object.name] = .object(members)
        guard isDeep else { return }
        for field in object.fields {
            for inner in objects(in: field.schema) { mark(inner, takesNull: takesNull, isDeep: true, &schemas) }
        }
    }
    private static func orNull(_ form: JSONValue, _ field: ObjectSchema.Field) -> JSONValue {
        guard case .object(var members) = form else { return form }
        switch field.schema {
        case .anything, .orNull: return form
        default: break
        }
        members["description"] = nil
        return ["anyOf": [.object(members), ["type": "null"]], "description": .text(field.about)]
    }
    private static func objects(in schema: Schema) -> [ObjectSchema] {
        switch schema {
        case .object(let object), .flagOr(let object), .integerOr(_, let object): [object]
        case .list(let element, _), .map(let element), .orNull(let element): objects(in: element)
        default: []
        }
    }
}
