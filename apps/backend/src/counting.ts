// The server's side of the truth: which questions have reached the assistant, how often, and which it could not answer.

import type { Question, Responder, ResponderContext } from 'guru-comms/server'

export interface Seen {
  /** How often each question has come, by its id. */
  readonly times: ReadonlyMap<string, number>
  /** Why the assistant failed, by the id of the question. */
  readonly failures: ReadonlyMap<string, unknown>
  /** What it said, by the id of the question. */
  readonly answers: ReadonlyMap<string, string>
}

/** Wraps a responder and counts. */
export function counting(responder: Responder): { responder: Responder; seen: Seen } {
  const times = new Map<string, number>()
  const failures = new Map<string, unknown>()
  const answers = new Map<string, string>()
  async function* respond(question: Question, context: ResponderContext): AsyncGenerator<string> {
    const { id } = question
    times.set(id, (times.get(id) ?? 0) + 1)
    try {
      for await (const piece of responder.respond(question, context)) {
        answers.set(id, (answers.get(id) ?? '') + piece)
        yield piece
      }
    } catch (error) {
      if (!context.signal.aborted) failures.set(id, error)
      throw error
    }
  }
  return { responder: { respond }, seen: { times, failures, answers } }
}
