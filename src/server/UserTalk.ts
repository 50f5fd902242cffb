// What a user's messages do, whatever carries them: questions go to the conversation, audio is counted, what is wrong is said
// so. Injected latency holds messages back, in order.

import { Conversation, type ReplyDelta } from './Conversation.ts'
import type { Faults } from './faults.ts'
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
  readonly #faults: Faults
  /** Messages that are held back, one behind the other. */
  #inbox: Promise<void> = Promise.resolve()
  #heldBack = 0

  constructor(options: ResolvedBackendOptions, faults: Faults, carrier: Carrier) {
    this.#carrier = carrier
    this.#faults = faults
    this.conversation = new Conversation({
      responder: options.responder,
      maxQuestions: options.maxQuestions,
      maxQuestionBytes: options.maxQuestionBytes,
      logger: options.logger,
      say: (delta) => carrier.say(delta),
    })
  }

  /**
   * Takes a message that is parsed already, now or after `turn`.
   * @returns when it will have been taken, if that is later
   */
  receive(value: unknown, turn?: Promise<void>): Promise<void> | undefined {
    const delay = this.#faults.delay()
    // Also without latency: what came later must not overtake what is held back still.
    if (turn || delay || this.#heldBack > 0) return this.#holdBack(value, turn, delay)
    this.#take(value)
    return undefined
  }

  /** Tells what was wrong; a question that is refused has ended, too. */
  refuse(id: string | undefined, reason: string): void {
    this.#carrier.send({
      type: 'error',
      message: reason,
      ...(id === undefined ? {} : { request_id: id, end: true }),
    })
  }

  #holdBack(
    value: unknown,
    turn: Promise<void> | undefined,
    delay: Promise<void> | undefined,
  ): Promise<void> {
    this.#heldBack += 1
    this.#inbox = Promise.all([this.#inbox, turn, delay]).then(() => {
      this.#heldBack -= 1
      this.#take(value)
    })
    return this.#inbox
  }

  #take(value: unknown): void {
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
}
