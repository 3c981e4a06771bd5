import Synchronization
package final class CommittedTail: Sendable { package init() {}
  func publish(sequence: UInt64, segmentGeneration: UInt64) {} }
