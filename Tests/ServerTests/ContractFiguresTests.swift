// The contract's metric names: what both ports count is one sum, and nothing is counted twice.
import Engine
import FastPath
import Server
import Testing

@Suite struct ContractFiguresTests {
    @Test func aSourceThatEndsTakesNothingAway() {
        func figures(_ accepted: UInt64, _ status: Int) -> ContractPortFigures {
            var figures = ContractPortFigures()
            figures.add(
                SourceStatus(name: "a", counters: [.accepted: accepted], rejections: [:], observations: [:]),
                status: status)
            return figures
        }
        var totals = ContractPortTotals()
        #expect(totals.total(figures(10, 202)).accepted == 10)
        #expect(totals.total(figures(4, 202)).accepted == 10, "six were another's")
        #expect(totals.total(figures(5, 202)).accepted == 11)
        let other = totals.total(figures(5, 200))
        #expect(other.accepted == 11 && other.statuses == [202: 11, 200: 5])
    }
    @Test func aSourcesCountersAreAnswersByStatus() {
        let counters: [SourceCounter: UInt64] = [
            .accepted: 10, .duplicate: 2, .rejected: 15, .refused: 3, .rateLimited: 4, .answered400: 5, .answered401: 4,
        ]
        let rejections: [SignatureRejection: UInt64] = [
            .missingHeader: 7, .signatureMismatch: 2, .tenantMismatch: 1, .schemaViolation: 2, .unsupportedMediaType: 1,
            .bodyTooLarge: 2,
        ]
        var figures = ContractPortFigures()
        #expect(figures == ContractPortFigures())
        figures.add(
            SourceStatus(name: "a", counters: counters, rejections: rejections, observations: [.staleTimestamp: 9]),
            status: 202)
        #expect(figures.statuses == [202: 12, 400: 5, 401: 4, 403: 1, 413: 2, 415: 1, 422: 2, 429: 4, 503: 3])
        let all = counters[.accepted]! + counters[.duplicate]! + counters[.refused]! + counters[.rateLimited]!
        #expect(figures.statuses.values.reduce(0, +) == all + counters[.rejected]!, "each answer once")
        figures.add(SourceStatus(name: "b", counters: [.accepted: 1], rejections: [:], observations: [:]), status: 200)
        #expect(figures.accepted == 11 && figures.duplicate == 2 && figures.statuses[200] == 1)
        #expect(figures.signatureFailures == 4 && figures.limited == 4 && figures.unavailable == 3)
    }
}
