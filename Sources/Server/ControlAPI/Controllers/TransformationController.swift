// Transformations and redactions, tried before they are saved.
import Hummingbird

struct TransformationController {
    let trials: any TransformationTrials
    let worker: ControlWorker

    private static let path = ControlAPI.base + "/transformations"
    private static let bodyBytesMax = 1 << 20

    var routes: [Route] {
        let (trials, worker) = (trials, worker)
        return [
            Route(
                method: .post, path: TransformationController.path + "/test", operation: "testTransformation",
                resource: "transformations",
                summary: "Try a transformation or redaction on one event or body; nothing is sent and nothing kept.",
                body: .json(TransformationTest.schema), bodyBytesMax: TransformationController.bodyBytesMax,
                answer: .json(TransformationTestAnswer.schema),
                problems: [.noSuchEndpoint, .noSuchEvent, .logUnavailable, .notRunning]
            ) { call in
                let test = try BodyReading.decode(call.body, as: TransformationTest.self)
                return ControlResponse.resource(try await worker.run { try trials.test(test, call.caller) })
            },
            Route(
                method: .post, path: TransformationController.path + "/what-if", operation: "surveyTransformation",
                resource: "transformations",
                summary: "Try a transformation or redaction on events of the log, against what holds now.",
                body: .json(TransformationSurvey.schema), bodyBytesMax: TransformationController.bodyBytesMax,
                answer: .json(TransformationSurveyAnswer.schema),
                problems: [.noSuchEndpoint, .noSuchSource, .logUnavailable, .notRunning]
            ) { call in
                let survey = try BodyReading.decode(call.body, as: TransformationSurvey.self)
                return ControlResponse.resource(try await worker.run { try trials.survey(survey, call.caller) })
            },
        ]
    }
}
