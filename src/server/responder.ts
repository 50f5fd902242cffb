// What an assistant is to the backend: something that turns a message into pieces of text.

/** A user's message, checked. */
export interface Question {
  readonly id: string
  readonly content: string
  /** Base64 or a `data:` URL, as it was sent. */
  readonly image?: string
}

/** One turn of a conversation. */
export interface Turn {
  readonly role: 'user' | 'assistant'
  readonly content: string
}

export interface ResponderContext {
  /** Aborts when the user stops the reply, goes away, or the backend shuts down: stop working then. */
  readonly signal: AbortSignal
  /** What was said before on this connection, oldest first, bounded. */
  readonly history: readonly Turn[]
}

/** An assistant. */
export interface Responder {
  /**
   * The answer, piece by piece. The next piece is asked for when the last one has been taken by the network, so a slow
   * reader slows the assistant down. What it throws ends the reply with `error: true`; the message stays in the log.
   */
  respond(question: Question, context: ResponderContext): AsyncIterable<string>
}

/** Says back what it heard: for tests, and for who has no assistant yet. */
export const echoResponder: Responder = {
  async *respond({ content }, { signal }) {
    for (const word of `You said: ${content}`.split(/(?<=\s)/)) {
      if (signal.aborted) return
      yield word
    }
  },
}
