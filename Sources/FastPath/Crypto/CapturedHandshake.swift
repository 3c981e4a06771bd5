// A captured request as a challenge: for `sluice verify`, vectors and tests. Allocates.
// Safety: the memory that an answer is written to is lent for the call.

extension CapturedRequest {
    /// For a request that is not verified. `key`: what a MAC is made with.
    package func challengeAnswer(_ handshake: Handshake, key: SigningKey?) -> Handshake.CopiedResponse {
        bytes.withView { view in
            body.withView { bodyView in
                unsafe Handshake.copied { memory in
                    unsafe handshake.answer(
                        bytes: view, head: head, fields: fields, body: bodyView, key: key, into: memory,
                        capacity: Handshake.scratchBytesMax)
                }
            }
        }
    }
    /// True exactly when challenges may come with its method, unverified.
    package func isChallenge(for handshake: Handshake) -> Bool {
        head.method == .post ? handshake.takesUnsignedPost : handshake.methods.takes(head.method)
    }
    /// True exactly when its method is one of these.
    package func isMethod(in methods: MethodSet) -> Bool { methods.takes(head.method) }
}
