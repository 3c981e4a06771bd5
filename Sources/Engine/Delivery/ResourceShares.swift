// Who may take how much of what all lanes share: orders in flight (each with its connection) and payload memory. Pure
// arithmetic over what is taken and what is free.
//
// Dynamic thresholds (Choudhury and Hahne, 1998), first between tenants and then between the lanes of one: who holds
// something may take more only while it holds less than its part of eight times what is still free, or, as a tenant,
// less than its part of eight ninths of all. A tenant's part goes by its weight among those that hold or want
// something, a lane's by the number of its tenant's lanes that hold some. So whoever is greedy, and however many they
// are, a ninth is left: whoever comes new finds room at once. And lanes whose last attempt did not succeed (failing,
// silent, or never tried) have half of everything together, so that they cannot crowd out those that work.
//
// Invariant: `taken` and `takenByUnproven` are the sums over all orders in flight. If they drifted, lanes would starve.

package struct ResourceShares: Sendable {
    package struct Amount: Equatable, Sendable {
        package var orders = 0
        package var bytes = 0
        package init(orders: Int = 0, bytes: Int = 0) { (self.orders, self.bytes) = (orders, bytes) }
    }
    package let orderCountMax: Int
    package let byteCountMax: Int
    package private(set) var taken = Amount()
    package private(set) var takenByUnproven = Amount()

    package init(orderCountMax: Int, byteCountMax: Int) {
        self.orderCountMax = orderCountMax
        self.byteCountMax = byteCountMax
    }
    /// Who asks.
    package struct Asking {
        package var lane = Amount()
        package var isProven = false
        /// Of its tenant, by all lanes together.
        package var tenant = Amount()
        /// Lanes of its tenant that hold something.
        package var holderCount = 0
        package var weight = 1
        /// Of all tenants that hold or want something, this one included.
        package var weightSum = 1
        /// Whether its tenant may have more than its part of eight ninths of all.
        package var mayExceed = true
        package init() {}

        fileprivate var isAlone: Bool { weightSum <= weight }
        /// Of what there is for all tenants.
        fileprivate var part: Double { Double(weight) / Double(max(weightSum, weight)) }
    }
    /// Whether one more event of `block` bytes may go.
    package func allows(_ block: Int, _ asking: Asking) -> Bool {
        guard taken.orders < orderCountMax else { return false }
        // Nothing will come free by itself, so whatever fits goes.
        if taken.orders == 0 { return block <= byteCountMax }
        var freeOrders = orderCountMax - taken.orders
        var freeBytes = byteCountMax - taken.bytes
        var spareOrders = orderCountMax / ResourceShares.spareOfAll
        if !asking.isProven {
            freeOrders = min(freeOrders, max(orderCountMax / 2, 1) - takenByUnproven.orders)
            freeBytes = min(freeBytes, byteCountMax / 2 - takenByUnproven.bytes)
            spareOrders /= 2
        }
        let spare = Amount(orders: spareOrders, bytes: 0)
        guard mayHold(block, asking, free: Amount(orders: freeOrders, bytes: freeBytes), spare) else { return false }
        guard asking.lane.orders == 0 else {
            return block <= freeBytes && mayHoldMore(block, asking, freeOrders, freeBytes)
        }
        return mayBegin(block, freeOrders, freeBytes, isProven: asking.isProven)
    }
    /// A tenant that has something leaves the last few orders to those that have none, and others their parts: what it
    /// may have beyond its part of eight ninths of all goes by what is free.
    private func mayHold(_ block: Int, _ asking: Asking, free: Amount, _ spare: Amount) -> Bool {
        guard asking.tenant.orders > 0 else { return true }
        guard free.orders > spare.orders else { return false }
        guard !asking.isAlone else { return true }
        let most = ResourceShares.ofFree * asking.part
        let whole = most / (ResourceShares.ofFree + 1) / (asking.isProven ? 1 : 2)
        let (orders, bytes) = (Double(asking.tenant.orders + 1), Double(asking.tenant.bytes + block))
        let beyond = asking.mayExceed ? most : 0
        return orders <= max(beyond * Double(free.orders), whole * Double(orderCountMax))
            && bytes <= max(beyond * Double(free.bytes - block), whole * Double(byteCountMax))
    }
    /// A lane that has something leaves its tenant's other lanes theirs.
    private func mayHoldMore(_ block: Int, _ asking: Asking, _ freeOrders: Int, _ freeBytes: Int) -> Bool {
        let most = ResourceShares.ofFree / Double(max(asking.holderCount, 1))
        return Double(asking.lane.orders + 1) <= most * Double(freeOrders)
            && Double(asking.lane.bytes + block) <= most * Double(freeBytes - block)
    }
    /// The first of a lane.
    private func mayBegin(_ block: Int, _ freeOrders: Int, _ freeBytes: Int, isProven: Bool) -> Bool {
        guard freeOrders > 0 else { return false }
        let reserve = byteCountMax / 16
        let left = byteCountMax - taken.bytes - block
        // Half of the reserve is for small ones of lanes that are not proven, whatever others of their kind hold; the
        // other half for those that are.
        if block <= ResourceShares.smallBytes { return block <= freeBytes || !isProven && left >= reserve / 2 }
        // Not small: it leaves room behind it for others' small ones.
        if block <= byteCountMax / 8 { return block <= freeBytes / 2 }
        // So large that no half would ever take it: out of the whole, and of those not proven no more than the half
        // holds, or one.
        guard isProven || block <= freeBytes || takenByUnproven.bytes == 0 else { return false }
        return left >= reserve
    }
    package mutating func take(_ block: Int, isProven: Bool) {
        taken.orders += 1
        taken.bytes += block
        guard !isProven else { return }
        takenByUnproven.orders += 1
        takenByUnproven.bytes += block
    }
    /// `wasProven` is what `take` was told.
    package mutating func giveBack(_ block: Int, wasProven: Bool) {
        precondition(taken.orders > 0 && taken.bytes >= block)
        taken.orders -= 1
        taken.bytes -= block
        guard !wasProven else { return }
        takenByUnproven.orders -= 1
        takenByUnproven.bytes -= block
    }
    /// Of what is free, as much as those that are greedy may have together: of n parts in all, n - 1 are taken.
    private static let ofFree = 8.0
    /// One of so many orders is for tenants that have none out.
    private static let spareOfAll = 64
    /// What an event with its fields commonly takes.
    private static let smallBytes = 16 << 10
}
