// The keywords of a subschema as tests, each with the form that its draft asks for. What is cheap to ask comes first,
// so that a body that is wrong is found so early.
import FastPath

enum SchemaTests {
    /// Those without subschemas.
    static func plain(
        _ keywords: SchemaKeywords, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> [SchemaTest] {
        var tests: [SchemaTest] = []
        if let types = try keywords.types() { tests.append(.types(types)) }
        if let values = try keywords.list("enum") { tests.append(.values(valuesTest("enum", values, keywords))) }
        if let value = keywords["const"] { tests.append(.values(valuesTest("const", [value], keywords))) }
        for order in [SchemaTest.Limit.Order.maximum, .exclusiveMaximum, .minimum, .exclusiveMinimum] {
            guard let number = try keywords.number(order.rawValue) else { continue }
            tests.append(.limit(SchemaTest.Limit(order: order, number: number)))
        }
        if let number = try keywords.number("multipleOf") {
            let divisor = number.withView { DecimalNumber($0).flatMap { DecimalNumber.Divisor($0) } }
            guard let divisor else {
                throw SchemaProblem(
                    keywords.path("multipleOf"),
                    "must be a number above 0 of at most \(DecimalNumber.Divisor.digitMax) digits")
            }
            tests.append(.multiple(divisor, text: String(decoding: number, as: UTF8.self)))
        }
        tests += try sizes(keywords)
        if let place = keywords["pattern"] {
            let text = try keywords.text(place, "pattern")
            tests.append(.pattern(try compiler.pattern(text, path: keywords.path("pattern"))))
        }
        if let place = keywords["format"], let format = SchemaFormat(rawValue: try keywords.text(place, "format")) {
            tests.append(.format(format))
        }
        if try keywords.flag("uniqueItems") == true { tests.append(.unique) }
        if let place = keywords["required"] {
            let names = try keywords.texts(place, keywords.path("required"))
            if !names.isEmpty { tests.append(.required(names)) }
        }
        for (name, value) in try keywords.object("dependentRequired") ?? [] {
            let path = keywords.path("dependentRequired") + "/" + SchemaWords.pointed(name)
            tests.append(
                .dependency(
                    SchemaTest.Dependency(
                        name: name, needs: try keywords.texts(value, path), keyword: "dependentRequired")))
        }
        return tests
    }
    private static func valuesTest(
        _ keyword: String, _ places: [Int], _ keywords: SchemaKeywords
    ) -> SchemaTest.Values {
        var sameness = JSONSameness()
        let hashes = Set(places.map { sameness.hash(keywords.document, $0) })
        return SchemaTest.Values(keyword: keyword, places: places, hashes: hashes)
    }
    private static func sizes(_ keywords: SchemaKeywords) throws(SchemaProblem) -> [SchemaTest] {
        var tests: [SchemaTest] = []
        for isMaximum in [true, false] {
            let prefix = isMaximum ? "max" : "min"
            func size(_ what: String) throws(SchemaProblem) -> SchemaTest.Size? {
                guard let limit = try keywords.count(prefix + what) else { return nil }
                return SchemaTest.Size(keyword: prefix + what, limit: limit, isMaximum: isMaximum)
            }
            if let size = try size("Length") { tests.append(.textSize(size)) }
            if let size = try size("Items") { tests.append(.itemCount(size)) }
            if let size = try size("Properties") { tests.append(.memberCount(size)) }
        }
        return tests
    }

    /// Those with subschemas.
    static func nested(
        _ keywords: SchemaKeywords, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> [SchemaTest] {
        var tests: [SchemaTest] = []
        // Nothing is run of them; what is wrong in one is said all the same.
        for keyword in ["definitions", "$defs"] {
            for (name, value) in try keywords.object(keyword) ?? [] {
                let path = keywords.path(keyword) + "/" + SchemaWords.pointed(name)
                _ = try compiler.rule(at: value, path: path)
            }
        }
        if let items = try items(keywords, &compiler) { tests.append(.items(items)) }
        if let place = keywords["contains"] {
            let minimum = try keywords.count("minContains") ?? 1
            let maximum = try keywords.count("maxContains")
            let rule = try compiler.rule(at: place, path: keywords.path("contains"))
            tests.append(.contains(SchemaTest.Contains(rule: rule, minimum: minimum, maximum: maximum)))
        }
        if let members = try members(keywords, &compiler) { tests.append(.members(members)) }
        if let place = keywords["propertyNames"] {
            tests.append(.names(try compiler.rule(at: place, path: keywords.path("propertyNames"))))
        }
        tests += try dependencies(keywords, &compiler)
        if let rules = try schemas("allOf", keywords, &compiler) { tests.append(.all(rules)) }
        if let rules = try schemas("anyOf", keywords, &compiler) { tests.append(.any(rules)) }
        if let rules = try schemas("oneOf", keywords, &compiler) { tests.append(.one(rules)) }
        if let place = keywords["not"] {
            tests.append(.not(try compiler.rule(at: place, path: keywords.path("not"))))
        }
        if let place = keywords["if"] {
            let condition = try compiler.rule(at: place, path: keywords.path("if"))
            let then = try optional("then", keywords, &compiler)
            let otherwise = try optional("else", keywords, &compiler)
            if then != nil || otherwise != nil {
                tests.append(.conditional(condition, then: then, otherwise: otherwise))
            }
        }
        return tests
    }
    private static func optional(
        _ keyword: String, _ keywords: SchemaKeywords, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> RuleIndex? {
        guard let place = keywords[keyword] else { return nil }
        return try compiler.rule(at: place, path: keywords.path(keyword))
    }
    private static func schemas(
        _ keyword: String, _ keywords: SchemaKeywords, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> [RuleIndex]? {
        guard let places = try keywords.schemaList(keyword) else { return nil }
        return try rules(places, keywords.path(keyword), &compiler)
    }
    private static func rules(
        _ places: [Int], _ path: String, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> [RuleIndex] {
        var rules: [RuleIndex] = []
        for (index, place) in places.enumerated() {
            rules.append(try compiler.rule(at: place, path: "\(path)/\(index)"))
        }
        return rules
    }

    /// `items` as a list is `prefixItems`, and `additionalItems` is then what `items` is behind that.
    private static func items(
        _ keywords: SchemaKeywords, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> SchemaTest.Items? {
        var items = SchemaTest.Items()
        let list = keywords["items"].map { keywords.document.kind($0) == .list } ?? false
        if let places = try keywords.list("prefixItems") {
            guard !list else {
                throw SchemaProblem(keywords.path("items"), "must be a schema where `prefixItems` has the list")
            }
            items.first = try rules(places, keywords.path("prefixItems"), &compiler)
        }
        if list {
            items.first = try rules(try keywords.list("items") ?? [], keywords.path("items"), &compiler)
            items.rest = try optional("additionalItems", keywords, &compiler)
        } else {
            items.rest = try optional("items", keywords, &compiler)
        }
        return items.first.isEmpty && items.rest == nil ? nil : items
    }
    private static func members(
        _ keywords: SchemaKeywords, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> SchemaTest.Members? {
        var members = SchemaTest.Members()
        for (name, value) in try keywords.object("properties") ?? [] {
            let path = keywords.path("properties") + "/" + SchemaWords.pointed(name)
            guard members.properties[name] == nil else { throw SchemaProblem(path, "stands there twice") }
            members.properties[name] = try compiler.rule(at: value, path: path)
        }
        for (name, value) in try keywords.object("patternProperties") ?? [] {
            let path = keywords.path("patternProperties") + "/" + SchemaWords.pointed(name)
            let pattern = try compiler.pattern(String(decoding: name, as: UTF8.self), path: path)
            members.patterns.append((pattern, try compiler.rule(at: value, path: path)))
        }
        members.rest = try optional("additionalProperties", keywords, &compiler)
        return members.properties.isEmpty && members.patterns.isEmpty && members.rest == nil ? nil : members
    }
    private static func dependencies(
        _ keywords: SchemaKeywords, _ compiler: inout SchemaCompiler
    ) throws(SchemaProblem) -> [SchemaTest] {
        var tests: [SchemaTest] = []
        for keyword in ["dependencies", "dependentSchemas"] {
            for (name, value) in try keywords.object(keyword) ?? [] {
                let path = keywords.path(keyword) + "/" + SchemaWords.pointed(name)
                var dependency = SchemaTest.Dependency(name: name, keyword: keyword)
                if keyword == "dependencies", keywords.document.kind(value) == .list {
                    dependency.needs = try keywords.texts(value, path)
                } else {
                    dependency.rule = try compiler.rule(at: value, path: path)
                }
                tests.append(.dependency(dependency))
            }
        }
        return tests
    }
}
