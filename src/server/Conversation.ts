// One user's talk with the assistant: questions in turn, answers as deltas, stops. It knows no socket: what it says goes to
// `say`, which resolves when the other side can take more.

import type { Logger } from '../core/logger.ts'
import { RingBuffer } from '../core/ringBuffer.ts'
import type { Question, Responder, Turn } from './responder.ts'
import { untilAborted } from './untilAborted.ts'

/** A piece of an answer, as it travels. */
export interface ReplyDelta {
  role: 'assistant'
  type: 'message'
  request_id: string
  content: string
  start?: true
  end?: true
  state?: 'thinking' | 'speaking' | 'idle'
  /** The assistant failed: what came before is all there will be. */
  error?: true
}

export interface ConversationOptions {
  readonly responder: Responder
  /** Questions that may wait for their turn, and how long their texts and images may be together. */
  readonly maxQuestions: number
  readonly maxQuestionBytes: number
  readonly logger: Logger | undefined
  /** Hands a delta to the user; resolves when there is room for more. A rejection means that nobody listens any more. */
  readonly say: (delta: ReplyDelta) => Promise<void>
}

/** What the assistant is reminded of: turns, and characters in all of them. */
const HISTORY_TURNS = 40
const HISTORY_CHARACTERS = 200_000

export class Conversation {
  readonly #options: ConversationOptions
  readonly #waiting = new RingBuffer<Question>()
  #waitingBytes = 0
  readonly #history: Turn[] = []
  #current: { readonly id: string; readonly controller: AbortController } | undefined
  #running: Promise<void> = Promise.resolve()
  #over = false

  constructor(options: ConversationOptions) {
    this.#options = options
  }

  /** Answers being given or waiting. */
  get pending(): number {
    return this.#waiting.length + (this.#current ? 1 : 0)
  }

  /** Takes a question; returns false when too much waits already. */
  ask(question: Question): boolean {
    const { maxQuestions, maxQuestionBytes } = this.#options
    const bytes = bytesOf(question)
    if (this.#over || this.#waiting.length >= maxQuestions) return false
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes > maxQuestionBytes) return false
    this.#waiting.push(question)
    this.#waitingBytes += bytes
    if (!this.#current) this.#running = this.#run()
    return true
  }

  /** Stops the answer to one question, or to all: each ends with what has been said. Returns how many were stopped. */
  stop(id?: string): number {
    let stopped = 0
    if (this.#current && (id === undefined || this.#current.id === id)) {
      this.#current.controller.abort(new Error('stopped by the user'))
      stopped += 1
    }
    for (
      let question = this.#takeWaiting(id);
      question;
      question = id === undefined ? this.#takeWaiting(id) : undefined
    ) {
      // Whoever waits for its answer has to hear that there is none.
      void this.#options.say({ ...deltaOf(question), end: true, state: 'idle' }).catch(() => {})
      stopped += 1
    }
    return stopped
  }

  /** Takes no more questions; resolves when the last answer has ended. */
  async finish(): Promise<void> {
    this.#over = true
    await this.#running
  }

  /** Ends it now. */
  end(): void {
    this.#over = true
    this.stop()
  }

  #takeWaiting(id?: string): Question | undefined {
    const question = id === undefined ? this.#waiting.shift() : this.#waiting.remove((one) => one.id === id)
    if (question) this.#waitingBytes -= bytesOf(question)
    return question
  }

  async #run(): Promise<void> {
    for (let question = this.#takeWaiting(); question; question = this.#takeWaiting()) {
      const controller = new AbortController()
      this.#current = { id: question.id, controller }
      try {
        await this.#answer(question, controller)
      } catch (error) {
        // `say` failed: the user is gone, and nobody waits for the rest.
        this.#options.logger?.debug('a reply could not be delivered:', error)
        this.#waiting.clear()
        this.#waitingBytes = 0
      }
      this.#current = undefined
    }
  }

  async #answer(question: Question, controller: AbortController): Promise<void> {
    const { responder, logger } = this.#options
    const { signal } = controller
    const say = async (delta: ReplyDelta) => {
      try {
        await this.#options.say(delta)
      } catch (error) {
        // Nobody is there any more: the assistant need not go on.
        controller.abort(error)
        throw error
      }
    }
    const delta = deltaOf(question)
    let answer = ''
    let failed = false
    await say({ ...delta, start: true, state: 'thinking' })
    try {
      const pieces = responder.respond(question, { signal, history: [...this.#history] })
      for await (const piece of untilAborted(pieces, signal)) {
        if (typeof piece !== 'string') throw new TypeError(`respond must give strings, gave ${typeof piece}`)
        if (piece === '') continue
        await say({ ...delta, content: piece, ...(answer === '' ? { state: 'speaking' as const } : {}) })
        answer += piece
      }
    } catch (error) {
      failed = !signal.aborted
      if (failed) logger?.error('the responder failed:', error)
    }
    if (answer !== '') this.#remember(question.content, answer)
    await say({ ...delta, end: true, state: 'idle', ...(failed ? { error: true as const } : {}) })
  }

  #remember(question: string, answer: string): void {
    this.#history.push({ role: 'user', content: question }, { role: 'assistant', content: answer })
    let characters = this.#history.reduce((sum, { content }) => sum + content.length, 0)
    while (this.#history.length > HISTORY_TURNS || characters > HISTORY_CHARACTERS) {
      for (const { content } of this.#history.splice(0, 2)) characters -= content.length
    }
  }
}

function deltaOf({ id }: Question) {
  return { role: 'assistant', type: 'message', request_id: id, content: '' } as const
}

/** What a question holds on to: its texts are a byte or two per character, most of them one. */
function bytesOf({ content, image = '' }: Question): number {
  return content.length + image.length
}
