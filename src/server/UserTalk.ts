// What a user's messages do, whatever carries them: questions go to the conversation, audio is
// counted, what is wrong is told.

import { faultOf } from './answer.ts'
import { Conversation, type ConversationEnd, type ReplyDelta } from './Conversation.ts'
import type { DurableAnswers } from './DurableAnswers.ts'
import type { Principal, ResolvedBackendOptions } from './options.ts'
import type { Question } from './responder.ts'
import { readUserMessage, type UserMessage } from './userMessages.ts'

/** What carries messages to the user. */
export interface Carrier {
  /** For what is not worth waiting for. */
  send(message: object): void
  /** For an answer of which only the latest counts. */
  pong(message: object): void
  /** Resolves when there is room for more; rejects when nobody listens any more. */
  say(delta: ReplyDelta): Promise<void>
}

/** Whose talk it is, and what it is made of. */
export interface TalkContext {
  readonly options: ResolvedBackendOptions
  readonly principal: Principal | undefined
  /** Answers that outlive the line, where the backend keeps them. */
  readonly answers: DurableAnswers | undefined
}

/** Answers that one connection listens to at a time, beside those to its own questions. */
const MAX_FOLLOWED = 16

export class UserTalk {
  readonly conversation: Conversation
  /** Bytes of audio that have come in. */
  audioBytes = 0
  readonly #carrier: Carrier
  readonly #context: TalkContext
  /** The answers that are listened to, by their ids. */
  readonly #followed = new Map<string, AbortController>()

  constructor(context: TalkContext, carrier: Carrier) {
    const { options, principal, answers } = context
    this.#carrier = carrier
    this.#context = context
    this.conversation = new Conversation({
      respond: (question, { signal, history }) =>
        answers
          ? answers.respond(question, principal, signal, history)
          : options.responder.respond(question, { signal, history }),
      maxQuestions: options.maxQuestions,
      maxQuestionBytes: options.maxQuestionBytes,
      answerTimeout: options.answerTimeout,
      clock: options.clock,
      logger: options.logger,
      say: (delta) => carrier.say(delta),
    })
  }

  /**
   * Takes a message that is parsed already. `onEnded` is called when nothing more comes of it: at
   * once, unless it is a question.
   */
  receive(value: unknown, onEnded?: () => void): void {
    const message = readUserMessage(value)
    if (message.kind === 'question') this.#ask(message.question, onEnded)
    else {
      this.#act(message)
      onEnded?.()
    }
  }

  /** Ends it now: questions, and what is listened to. */
  end(how: ConversationEnd): void {
    this.conversation.end(how)
    for (const controller of this.#followed.values()) controller.abort()
  }

  #ask(question: Question, onEnded: (() => void) | undefined): void {
    const fault = this.conversation.ask(question, onEnded)
    if (!fault) return
    this.#carrier.send({ ...lastOf(question.id), error: fault })
    onEnded?.()
  }

  #act(message: Exclude<UserMessage, { kind: 'question' }>): void {
    switch (message.kind) {
      case 'stop':
        this.#stop(message.id)
        return
      case 'resume':
        this.#resume(message.id, message.offset)
        return
      case 'ping':
        this.#carrier.pong({ type: 'pong', timestamp: message.timestamp })
        return
      case 'audio':
        this.audioBytes += message.bytes
        return
      case 'pong':
        return
      case 'wrong':
        this.refuse(message.id, message.reason)
    }
  }

  #stop(id: string): void {
    if (this.conversation.stop(id) > 0) return
    const { answers, principal, options } = this.#context
    // It may be given to another connection, or to none.
    answers
      ?.stop(id, principal)
      .catch((error) => options.logger?.error('an answer cannot be stopped:', error))
  }

  #resume(id: string, offset: string | undefined): void {
    const { answers } = this.#context
    if (!answers) {
      this.refuse(id, 'answers are not kept here')
      return
    }
    if (this.#followed.size >= MAX_FOLLOWED && !this.#followed.has(id)) {
      this.refuse(id, `a connection listens to ${MAX_FOLLOWED} answers at the most`)
      return
    }
    // Who asks again begins anew: what was on its way may have been lost.
    this.#followed.get(id)?.abort()
    const controller = new AbortController()
    this.#followed.set(id, controller)
    void this.#follow(answers, id, offset, controller.signal).finally(() => {
      if (this.#followed.get(id) === controller) this.#followed.delete(id)
    })
  }

  async #follow(
    answers: DurableAnswers,
    id: string,
    offset: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { principal, options } = this.#context
    try {
      if (!(await answers.has(id, principal))) {
        this.refuse(id, 'there is no such answer', 'NOT_FOUND')
        return
      }
      let started = offset !== undefined
      for await (const { text, offset: next, reset } of answers.follow(id, principal, offset, signal)) {
        if (signal.aborted) return
        const start = reset || !started
        started = true
        await this.#carrier.say({ ...deltaOf(id), content: text, offset: next, ...(start && { start }) })
      }
      if (!signal.aborted) await this.#carrier.say(lastOf(id))
    } catch (error) {
      if (signal.aborted) return
      if ((error as { isResponderError?: unknown } | null)?.isResponderError !== true)
        options.logger?.debug('an answer could not be handed on:', error)
      this.#carrier.send({ ...lastOf(id), error: faultOf(error) })
    }
  }

  /** Tells what was wrong; a question that is refused has ended, too. */
  refuse(id: string | undefined, reason: string, code = 'BAD_REQUEST'): void {
    this.#carrier.send({
      type: 'error',
      code,
      message: reason,
      ...(id === undefined ? {} : { request_id: id, end: true }),
    })
  }
}

function deltaOf(id: string) {
  return { role: 'assistant', type: 'message', request_id: id, content: '' } as const satisfies ReplyDelta
}

function lastOf(id: string) {
  return { ...deltaOf(id), end: true, state: 'idle' } as const satisfies ReplyDelta
}
