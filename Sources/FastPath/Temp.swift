import Synchronization
package enum HandshakeAnswer { case none, answer(count: Int, isText: Bool), rejected(SignatureRejection) }
package enum Handshake: Sendable { case none
  var isSome: Bool { false }
  func answer(body: ByteView, key: SigningKey?, into: UnsafeMutablePointer<UInt8>, capacity: Int) -> HandshakeAnswer { .none } }
package final class CommittedTail: Sendable { package init() {}
  func publish(sequence: UInt64, segmentGeneration: UInt64) {} }
