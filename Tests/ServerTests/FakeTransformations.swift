// What the fake gateway says of transformations that are tried.
import Server

extension FakeGateway: TransformationTrials {
    func test(_ test: TransformationTest, _ caller: Caller) throws -> TransformationTestAnswer {
        try note("test transformation \(test.event ?? test.body ?? "")", caller)
        var answer = TransformationTestAnswer(result: "ok")
        (answer.body, answer.redactions) = (test.body, ["email": 1])
        return answer
    }
    func survey(_ survey: TransformationSurvey, _ caller: Caller) throws -> TransformationSurveyAnswer {
        try note("survey transformation \(survey.source ?? "")", caller)
        var answer = TransformationSurveyAnswer()
        answer.events = survey.limit ?? TransformationSurvey.limitDefault
        return answer
    }
}
