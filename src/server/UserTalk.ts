// What a user's messages do, whatever carries them: questions go to the conversation, audio is counted, what is wrong is told.

import { Conversation, type ReplyDelta } from './Conversation.ts'
import type { ResolvedBackendOptions } from './options.ts'
import { readUserMessage } from './userMessages.ts'

/** What carries messages to the user. */
export interface Carrier {
  /** For what is not worth waiting for. */
  send(message: object): void
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
      logger: options.logger,
      say: (delta) => carrier.say(delta),
    })
  }

  /** Takes a message that is parsed already. */
  receive(value: unknown): void {
    const message = readUserMessage(value)
    switch (message.kind) {
      case 'question':
        if (!this.conversation.ask(message.question)) {
          this.refuse(message.question.id, 'too many questions are waiting')
        }
        return
      case 'stop':
        this.conversation.stop(message.id)
        return
      case 'ping':
        this.#carrier.send({ type: 'pong', timestamp: message.timestamp })
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
      message: reason,
      ...(id === undefined ? {} : { request_id: id, end: true }),
    })
  }
}
