// What a user's messages do, whatever carries them: questions go to the conversation, audio is counted, what is wrong is told.

import { Conversation, type ReplyDelta } from './Conversation.ts'
import type { ResolvedBackendOptions } from './options.ts'
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

export class UserTalk {
  readonly conversation: Conversation
  /** Bytes of audio that have come in. */
  audioBytes = 0
  readonly #carrier: Carrier

  constructor(options: ResolvedBackendOptions, carrier: Carrier) {
    this.#carrier = carrier
    this.conversation = new Conversation({
      responder: options.responder,
      maxQuestions: options.maxQuestions,
      maxQuestionBytes: options.maxQuestionBytes,
      answerTimeout: options.answerTimeout,
      clock: options.clock,
      logger: options.logger,
      say: (delta) => carrier.say(delta),
    })
  }

  /** Takes a message that is parsed already. `onEnded` is called when nothing more comes of it: at once, unless it is a question. */
  receive(value: unknown, onEnded?: () => void): void {
    const message = readUserMessage(value)
    if (message.kind === 'question') this.#ask(message.question, onEnded)
    else {
      this.#act(message)
      onEnded?.()
    }
  }

  #ask(question: Question, onEnded: (() => void) | undefined): void {
    const fault = this.conversation.ask(question, onEnded)
    if (!fault) return
    this.#carrier.send({
      role: 'assistant',
      type: 'message',
      request_id: question.id,
      content: '',
      end: true,
      state: 'idle',
      error: fault,
    } satisfies ReplyDelta)
    onEnded?.()
  }

  #act(message: Exclude<UserMessage, { kind: 'question' }>): void {
    switch (message.kind) {
      case 'stop':
        this.conversation.stop(message.id)
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

  /** Tells what was wrong; a question that is refused has ended, too. */
  refuse(id: string | undefined, reason: string): void {
    this.#carrier.send({
      type: 'error',
      code: 'BAD_REQUEST',
      message: reason,
      ...(id === undefined ? {} : { request_id: id, end: true }),
    })
  }
}
