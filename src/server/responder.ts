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

/** Why there is no (whole) answer, as the user is told. */
export interface ReplyFault {
  /**
   * `FAILED`: the assistant did; `TIMEOUT`: it fell silent; `GOING_AWAY`: the backend shuts down; `QUEUE_FULL`: too many
   * questions wait; or what a `ResponderError` says.
   */
  readonly code: string
  readonly message: string
}

/** Thrown by a responder to tell the user why there is no answer; what else it throws is told to the log only. */
export class ResponderError extends Error {
  override readonly name = 'ResponderError'
  readonly isResponderError = true
  /** For programs, such as `UPSTREAM`. */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** An assistant. */
export interface Responder {
  /**
   * The answer, piece by piece. The next piece is asked for when the last one has been taken by the network, so a slow
   * reader slows the assistant down. What it throws ends the reply with an `error` of the code `FAILED`, and its message stays
   * in the log; a `ResponderError` tells its code and its message to the user.
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
