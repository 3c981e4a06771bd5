// What the rounds of the stream stand on: the gateway as they see it, a reader as they know it, and every bound.
import Engine
import FastPath
import NIOCore

/// What the rounds see of a gateway.
package struct StreamWorld: Sendable {
    package var folder: LogFolder
    package var tail: CommittedTail
    package var feed: StreamFeed
    /// For deliveries of events that were read long ago.
    package var makeReaders: @Sendable () -> LogReaders
    package var endpoint: @Sendable (EndpointID) -> Reference
    package var isContractEntry: @Sendable (EndpointID) -> Bool
    package var isServing: @Sendable () -> Bool
    /// As the store has it: for the few deliveries whose end says nothing of their last attempt.
    package var stored: @Sendable (DeliveryKey) -> DeliveryRow?
    package var clock: @Sendable () -> UInt64

    package init(
        folder: LogFolder, tail: CommittedTail, feed: StreamFeed, makeReaders: @escaping @Sendable () -> LogReaders,
        endpoint: @escaping @Sendable (EndpointID) -> Reference,
        isContractEntry: @escaping @Sendable (EndpointID) -> Bool = { _ in false },
        isServing: @escaping @Sendable () -> Bool,
        stored: @escaping @Sendable (DeliveryKey) -> DeliveryRow? = { _ in nil },
        clock: @escaping @Sendable () -> UInt64 = { ProcessResources.monotonicNanos }
    ) {
        self.folder = folder
        self.tail = tail
        self.feed = feed
        self.makeReaders = makeReaders
        self.endpoint = endpoint
        self.isContractEntry = isContractEntry
        self.isServing = isServing
        self.stored = stored
        self.clock = clock
    }
}

/// One reader as the rounds know it.
package struct StreamSeat: Sendable {
    package let reader: StreamReader
    package let filter: StreamFilter
    /// Nil = all tenants.
    package let tenant: TenantID?
    package let isAllowed: @Sendable () -> Bool
    package let hangUp: @Sendable () -> Void
    /// It is told what is behind this sequence.
    let after: UInt64
    /// How it is told.
    package var form = StreamForm.own
    /// When a contract's reader had its last heartbeat.
    var beatAt: UInt64 = 0
    /// All that is for it up to here is told, or on its way in `out`.
    var place: UInt64 = 0
    /// Of the record that was read last for it alone.
    var position: RecordPosition?
    var isLive = false
    /// It had caught up, could not take all, and catches up again.
    var isDemoted = false
    /// Outcomes of that time.
    var missedCount: UInt64 = 0
    var out = ByteBuffer()
    var toldAt: UInt64 = 0

    package init(
        reader: StreamReader, filter: StreamFilter, tenant: TenantID?, after: UInt64,
        isAllowed: @escaping @Sendable () -> Bool, hangUp: @escaping @Sendable () -> Void
    ) {
        self.reader = reader
        self.filter = filter
        self.tenant = tenant
        self.after = after
        self.isAllowed = isAllowed
        self.hangUp = hangUp
    }
    /// Nil = all tenants.
    var shownTenant: TenantID? { tenant ?? filter.tenant }
}

/// Whose words a reader is told in.
package enum StreamForm: Sendable {
    case own
    /// Of the contract edge: the tenant's UUID, and the longest time between two heartbeats.
    case contract(tenant: String, heartbeatNanos: UInt64)
}

package enum StreamLimits {
    /// In all, and of one tenant; those that see all tenants count as one more.
    package static let readerCountMax = 500
    package static let tenantReaderCountMax = 250
    /// What may wait for one reader, and for all together. A round writes half as much again, at most.
    static let readerBytesMax = 1 << 20
    static let bytesMax = 128 << 20
    /// A reader that takes nothing of what waits for so long does not read.
    static let stallNanos: UInt64 = 15_000_000_000
    /// One for which too much waits, and that took something so lately, is slow and not stuck.
    static let graceNanos: UInt64 = 1_000_000_000
    static let heartbeatNanos: UInt64 = 15_000_000_000
    /// How often keys are looked at again.
    static let checkNanos: UInt64 = 1_000_000_000
    /// Of those who have been told the end, to take it.
    static let farewellNanos: UInt64 = 2_000_000_000
    /// The more readers, the longer a round, so that writing to them costs the same: one write a reader each half
    /// millisecond.
    static let roundNanosMin: UInt64 = 10_000_000
    static let roundNanosMax: UInt64 = 100_000_000
    static let roundNanosOfReader: UInt64 = 500_000
    /// Records of the shared reading in a round.
    static let recordsPerRound = 20_000
    /// Time of a round for those that catch up, and what one of them gets in its turn.
    static let catchUpNanos: UInt64 = 8_000_000
    static let catchUpBytes = 128 << 10
    /// A segment of the log is searched for a place; then it goes on from there.
    static let logBufferBytes = 256 << 10
    /// What the disk cannot read, and what does not verify (a page of before the write may still be in the cache), is
    /// tried again for so long, and so often.
    static let diskPatienceNanos: UInt64 = 30_000_000_000
    static let damagePatienceNanos: UInt64 = 300_000_000
    static let tryNanos: UInt64 = 100_000_000
    static let troubleCountMax = 1024
    /// Of events that were read, for the deliveries that follow them.
    static let recentCount = 8192
    /// Of events that were not read lately, for their deliveries.
    static let oldEventsPerRound = 256

    static func readerBytesMax(among count: Int) -> Int { min(readerBytesMax, bytesMax / max(count, 1)) }
}
