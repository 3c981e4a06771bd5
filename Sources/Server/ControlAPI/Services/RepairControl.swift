// What the control API asks of repairs; rules as in `ControlServices`.

package protocol RepairControl: AnyObject, Sendable {
    /// Kept when it returns; goes on behind the answer, over a restart too.
    func begin(_ draft: RepairDraft, _ caller: Caller) throws -> RepairResource
    /// Newest first; `after` counts downwards here: repairs with a smaller number.
    func repairs(_ paging: Paging, _ caller: Caller) throws -> Found<RepairResource, UInt64>
    func repair(_ id: String, _ caller: Caller) throws -> RepairResource
    /// What it has done is done.
    func cancelRepair(_ id: String, _ caller: Caller) throws -> RepairResource
    /// A pending delivery is given up; as it is then.
    func cancelDelivery(event: String, endpoint: String, _ caller: Caller) throws -> DeliveryResource
    /// By endpoint, those that have some; `after` is an endpoint's number.
    func deadLetterCounts(
        endpoint: String?, _ paging: Paging, _ caller: Caller
    ) throws -> Found<DeadLetterCounts, UInt64>
}
