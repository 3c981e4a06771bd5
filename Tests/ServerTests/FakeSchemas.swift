// Trials of schemas of the gateway that only remembers what it was asked.
import Engine
import FastPath
import Server

extension FakeGateway: SchemaTrials {
    func test(_ trial: SchemaTrial, _ caller: Caller) throws -> SchemaResult {
        try note("test schema \(trial.event ?? trial.body ?? "payload")", caller)
        return SchemaResult(try EventSchema(#"{"required":["id"]}"#).refusal(of: Array("{}".utf8)))
    }
    func preview(
        _ order: SchemaPreviewOrder, after: UInt64?, _ caller: Caller
    ) throws -> (page: SchemaPreview, next: UInt64?) {
        try note("preview schema \(order.type ?? "-") \(after.map(String.init) ?? "-")", caller)
        var page = SchemaPreview()
        (page.read, page.checked, page.refused) = (3, 2, 1)
        return (page, after == nil ? 7 : nil)
    }
}
