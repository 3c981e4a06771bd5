// Who may take how much of what all lanes share: orders in flight (each with its connection) and payload memory. Pure
// arithmetic over what is taken and what is free.
//
// Dynamic thresholds (Choudhury and Hahne, 1998): a lane that holds something may take more only while it holds less
// than what is still free. Greedy lanes thus leave, however many they are, as much as each of them has: whoever comes
// new finds room at once. And lanes whose last attempt did not succeed (failing, silent, or never tried) have half of
// everything together, so that they cannot crowd out those that work.
//
// Invariant: `taken` and `takenByUnproven` are the sums over all orders in flight. If they drifted, lanes would starve.

package struct ResourceShares: Sendable {
    package struct Amount: Equatable, Sendable {
        package var orders = 0
        package var bytes = 0
        package init() {}
    }
    package let orderCountMax: Int
    package let byteCountMax: Int
    package private(set) var taken = Amount()
    package private(set) var takenByUnproven = Amount()

    package init(orderCountMax: Int, byteCountMax: Int) {
        self.orderCountMax = orderCountMax
        self.byteCountMax = byteCountMax
    }
    /// Whether a lane that holds `held` may send one more event of `block` bytes.
    package func allows(_ block: Int, held: Amount, isProven: Bool) -> Bool {
        guard taken.orders < orderCountMax else { return false }
        // Nothing will come free by itself, so whatever fits goes.
        if taken.orders == 0 { return block <= byteCountMax }
        var freeOrders = orderCountMax - taken.orders
        var freeBytes = byteCountMax - taken.bytes
        if !isProven {
            freeOrders = min(freeOrders, max(orderCountMax / 2, 1) - takenByUnproven.orders)
            freeBytes = min(freeBytes, byteCountMax / 2 - takenByUnproven.bytes)
        }
        guard held.orders == 0 else { return held.orders < freeOrders && held.bytes + block <= freeBytes }
        guard freeOrders > 0 else { return false }
        let reserve = byteCountMax / 16
        let left = byteCountMax - taken.bytes - block
        // The first of a lane. Half of the reserve is for small ones of lanes that are not proven, whatever others of
        // their kind hold; the other half for those that are.
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
    /// What an event with its fields commonly takes.
    private static let smallBytes = 16 << 10
}
