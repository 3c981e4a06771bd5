// What verifies a request away from the ingest loop: public keys, certificates and rules that are code, not data. Runs
// on worker threads; it may allocate and take its time, but waits for nothing outside the process, unless it was made
// with a resolver that does (`CertificateFetchMode.blocking`), which a gateway's is not.
//
// Invariant: a verdict is a function of the arguments and the verifier's own keys; it throws nothing and keeps nothing.

import FastPath

package protocol RequestVerifier: Sendable {
    /// `origin`: scheme and authority as the sender used them ("https://hooks.example.com"), nil when unknown.
    func verify(_ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64) -> VerificationResult
}
