// Redactions and transformations as the manifest and the API say them: the same values, and what is refused.
import Engine
import Foundation
import Server
import Testing

@Suite struct PreparationSettingsTests {
    private func read(_ endpoint: String) throws -> GatewayConfiguration {
        try ConfigurationFile.parse(
            """
            sources: [{ name: s, provider: generic, unverified: true }]
            endpoints:
              - name: e
                url: http://h.example/
            \(endpoint.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
            """, file: "sluice.yaml", environment: ["K": "a key of sixteen bytes"])
    }
    private func policies(_ endpoint: String) throws -> EndpointPolicies {
        try #require(try read(endpoint).endpoints.first).policies
    }

    @Test func theManifestSaysWhatTheApiSays() throws {
        let policies = try policies(
            """
            redact:
              patterns: [email, ip]
              hash: email
              key: ${K}
              allow: ["*@ours.example"]
              custom: [{ name: order, pattern: 'ORD-[0-9]+', replace: "#" }]
            transform:
              - pick: $.a
              - remove: [$.a.b, "$['c d']"]
              - rename: { path: $.a, to: e }
              - constant: { path: $.f, value: { g: [1.50, "2", true, ~, null, text] } }
              - format: { path: $.h, as: upper }
              - template: { path: $.i, text: "{{$.a}}!" }
            """)
        var redaction = RedactionSettings()
        var custom = RedactionSettings.Custom()
        (custom.name, custom.pattern, custom.replace) = ("order", "ORD-[0-9]+", "#")
        (redaction.patterns, redaction.hash, redaction.key) = (["email", "ip"], ["email"], "a key of sixteen bytes")
        (redaction.allow, redaction.custom) = (["*@ours.example"], [custom])
        #expect(policies.redaction == redaction)
        #expect(
            policies.transform == [
                .pick(paths: ["$.a"]), .remove(paths: ["$.a.b", "$['c d']"]), .rename(path: "$.a", to: "e"),
                .constant(path: "$.f", json: #"{"g":[1.50,"2",true,"~",null,"text"]}"#),
                .format(path: "$.h", form: "upper"), .template(path: "$.i", text: "{{$.a}}!"),
            ])
        #expect(try self.policies("redact: true").redaction == RedactionSettings())
        #expect(try self.policies("redact: false").redaction == nil)
    }
    @Test(arguments: [
        ("redact: maybe", "`redact`: `maybe` is none of true, false"),
        ("redact: { pattern: [email] }", "did you mean `patterns`?"),
        ("redact: { patterns: [emial] }", "did you mean `email`?"),
        ("redact: { custom: [{ name: a }] }", "needs `pattern`"),
        ("transform: [{ pik: [$.a] }]", "did you mean `pick`?"),
        ("transform: [{ pick: [$.a], remove: [$.b] }]", "a step of `transform` is one of pick"),
        ("transform: [{ rename: { path: $.a } }]", "needs `to`"),
        ("transform: [{ format: { path: $.a, as: uper } }]", "did you mean `upper`?"),
        ("transform: [{ remove: [a] }]", "must begin with $"),
    ])
    func refusesWhatIsWrong(_ text: String, _ words: String) {
        let error = #expect(throws: ConfigurationError.self) { _ = try read(text) }
        #expect(error?.description.contains(words) == true, "\(error.map { "\($0)" } ?? "")")
    }
    @Test func aStepIsOneThing() throws {
        for step: TransformStep in [
            .pick(paths: ["$.a"]), .remove(paths: ["$.a"]), .rename(path: "$.a", to: "b"),
            .constant(path: "$.a", json: #"{"b_c":[1,null]}"#), .format(path: "$.a", form: "trim"),
            .template(path: "$.a", text: "b"),
        ] {
            #expect(TransformStepResource(step).step == step)
        }
        #expect(TransformStepResource().step == nil)
        // A viewer is not shown what may be a secret of the receiver's, and cannot lead anybody to write that back.
        let constant = TransformStepResource(.constant(path: "$.k", json: "\"s3cret\"")).withoutTexts
        let template = TransformStepResource(.template(path: "$.k", text: "s3cret {{$.a}}")).withoutTexts
        #expect(constant.constant?.value == .null && constant.hidden == true && template.template?.text == "")
        #expect(constant.constant?.path == "$.k" && template.hidden == true && template.template?.path == "$.k")
        let picked = TransformStepResource(.pick(paths: ["$.a"]))
        #expect(picked.withoutTexts == picked)
        var two = TransformStepResource(.pick(paths: ["$.a"]))
        two.remove = ["$.b"]
        #expect(two.step == nil)
    }
    @Test func aKeyIsNotShownAndStays() {
        var settings = RedactionSettings()
        #expect(RedactResource(settings) == .flag(true) && RedactResource(nil) == .flag(false))
        (settings.hash, settings.key) = (["email"], "a key of sixteen bytes")
        let shown = RedactResource(settings)
        guard case .settings(let resource) = shown else {
            Issue.record("\(shown)")
            return
        }
        #expect(resource.key == nil && resource.hasKey == true && shown.keepsKey)
        #expect(shown.settings?.hash == ["email"] && shown.settings?.key == nil)
        var draft = EndpointDraft()
        draft.redact = shown
        #expect(draft.preparationErrors(isNew: true).map(\.path) == ["redact.has_key"])
        #expect(draft.preparationErrors(isNew: false).isEmpty)
    }
    @Test func theSchemasAreWhatIsWritten() throws {
        var test = TransformationTest()
        (test.endpoint, test.redact, test.event) = ("e", .flag(true), "evt_1")
        (test.body, test.contentType) = ("{}", "text/plain")
        test.transform = [TransformStepResource(.pick(paths: ["$.a"]))]
        try check(test)
        var answer = TransformationTestAnswer(result: "not_json")
        (answer.reason, answer.body, answer.bodyBase64, answer.redactions) = ("why", "b", "Yg==", ["email": 1])
        try check(answer)
        var survey = TransformationSurvey()
        (survey.endpoint, survey.source, survey.type) = ("e", "s", "t")
        (survey.from, survey.until, survey.limit) = ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", 5)
        survey.redact = RedactResource(RedactionSettings())
        survey.transform = test.transform
        try check(survey)
        var found = TransformationSurveyAnswer()
        var example = TransformationExample(event: "evt_1", result: "ok")
        (example.before, example.after) = ("a", "b")
        (found.failed, found.redactions, found.examples) = (["not_json": 1], ["ip": 2], [example])
        try check(found)
    }
    private func check<Value: Described>(_ value: Value) throws {
        let json = try JSONDecoder().decode(JSONValue.self, from: Data(APIText.of(value).utf8))
        #expect(SchemaCheck.errors(json, Value.schema).isEmpty, "\(Value.self)")
        guard case .object(let members) = json else {
            Issue.record("\(Value.self) is no object")
            return
        }
        #expect(Set(members.keys) == Set(Value.schema.fields.map(\.name)), "\(Value.self)")
    }
}
