// Answers that outlive the line of who asked: the responder writes into a reply, and whoever
// wants to hear it reads it from there, from any connection and any process that shares the
// store.

import type { Logger } from '../core/logger.ts'
import type { Replies } from '../replies/Replies.ts'
import type { ReplyWriter } from '../replies/ReplyWriter.ts'
import { AnswerPiece, cutOf, FAILED, faultOf, TIMEOUT } from './answer.ts'
import type { Principal } from './options.ts'
import { type Question, type Responder, ResponderError, type Turn } from './responder.ts'
import { untilAborted } from './untilAborted.ts'

export class DurableAnswers {
  readonly #replies: Replies
  readonly #responder: Responder
  readonly #logger: Logger | undefined

  constructor(replies: Replies, responder: Responder, logger: Logger | undefined) {
    this.#replies = replies
    this.#responder = responder
    this.#logger = logger
  }

  /**
   * Answers a question: anew, or by going on with an answer that there is already, where the
   * question has come again.
   * @param signal ends the listening; only the asker's own stop and the responder's silence end
   * the answer as well
   */
  async *respond(
    question: Question,
    principal: Principal | undefined,
    signal: AbortSignal,
    history: readonly Turn[],
  ): AsyncGenerator<AnswerPiece> {
    const { id } = question
    const owner = principal ?? ''
    const known = await this.#replies.find(id, { principal: owner })
    const writer =
      known === undefined
        ? await this.#begin(id, owner)
        : known.state === 'interrupted'
          ? await this.#replies.takeOver(id)
          : undefined
    if (writer) void this.#produce(writer, question, history)
    try {
      yield* this.follow(id, principal, undefined, signal)
    } finally {
      if (signal.aborted) await this.#cut(id, writer, signal.reason)
    }
  }

  /**
   * What there is of an answer behind `offset`, then what comes, to its end.
   * @throws ResponderError when it is not whole
   */
  async *follow(
    id: string,
    principal: Principal | undefined,
    offset: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<AnswerPiece> {
    const events = this.#replies.read(id, {
      principal: principal ?? '',
      signal,
      ...(offset !== undefined && { offset }),
    })
    for await (const event of events) {
      if (event.type === 'text') yield new AnswerPiece(event.text, event.offset)
      else if (event.type === 'reset') yield new AnswerPiece('', event.offset, true)
      else if (event.type === 'state' && event.state === 'failed') {
        const { code, message } = event.error ?? FAILED
        throw new ResponderError(code, message)
      }
    }
  }

  /** Whether there is an answer of this id for this principal. */
  async has(id: string, principal: Principal | undefined): Promise<boolean> {
    return (await this.#replies.find(id, { principal: principal ?? '' })) !== undefined
  }

  /** Stops an answer, whoever gives it and wherever. Returns whether there was one under way. */
  stop(id: string, principal: Principal | undefined): Promise<boolean> {
    return this.#replies.stop(id, { principal: principal ?? '' })
  }

  async #begin(id: string, owner: string): Promise<ReplyWriter> {
    try {
      return await this.#replies.start({ id, owner })
    } catch (error) {
      // Such as an id that somebody else has: the asker can do something about it.
      const { code, message } = error as { code?: unknown; message: string }
      if (code === 'BAD_REQUEST' || code === 'QUEUE_FULL') throw new ResponderError(code, message)
      throw error
    }
  }

  async #produce(writer: ReplyWriter, question: Question, history: readonly Turn[]): Promise<void> {
    try {
      await writer.pipe(this.#pieces(writer.signal, question, history))
    } catch (error) {
      this.#logger?.error('a reply cannot be kept:', error)
      writer.abandon()
    }
  }

  async *#pieces(signal: AbortSignal, question: Question, history: readonly Turn[]): AsyncGenerator<string> {
    try {
      yield* untilAborted(this.#responder.respond(question, { signal, history }), signal)
    } catch (error) {
      if (!signal.aborted) this.#logger?.error('the responder failed:', error)
      throw Object.assign(new Error('the answer failed'), faultOf(error))
    }
  }

  async #cut(id: string, writer: ReplyWriter | undefined, reason: unknown): Promise<void> {
    const cut = cutOf(reason)
    try {
      if (cut === 'stopped') await this.#replies.stop(id)
      else if (cut === TIMEOUT) await writer?.fail(TIMEOUT)
    } catch (error) {
      this.#logger?.debug('a reply had ended already:', error)
    }
  }
}
