// One user's talk with the assistant: questions in turn, answers as deltas, stops. It knows no socket: what it says goes to
// `say`, which resolves when the other side can take more.

import type { Logger } from '../core/logger.ts'
import { RingBuffer } from '../core/ringBuffer.ts'
import type { Question, Responder, Turn } from './responder.ts'

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
  readonly maxQuestions: number
  readonly logger: Logger | undefined
  /** Hands a delta to the user; resolves when there is room for more. A rejection ends the conversation's current reply. */
  readonly say: (delta: ReplyDelta) => Promise<void>
}

/** What the assistant is reminded of: turns, and characters in all of them. */
const HISTORY_TURNS = 40
const HISTORY_CHARACTERS = 200_000

export class Conversation {
  readonly #options: ConversationOptions
  readonly #waiting = new RingBuffer<Question>()
  readonly #history: Turn[] = []
  #current: { readonly id: string; readonly controller: AbortController } | undefined
  #running: Promise<void> = Promise.resolve()
  #over = false

  constructor(options: ConversationOptions) {
    this.#options = options
  }

  /** Whether an answer is being given or waits. */
  get busy(): boolean {
    return this.#current !== undefined || this.#waiting.length > 0
  }

  /** Takes a question; returns false when too many wait already. */
  ask(question: Question): boolean {
    if (this.#over || this.#waiting.length >= this.#options.maxQuestions) return false
    this.#waiting.push(question)
    if (!this.#current) this.#running = this.#run()
    return true
  }

  /** Stops the answer to one question, or to all. Returns how many were stopped. */
  stop(id?: string): number {
    let stopped = 0
    if (id === undefined) {
      stopped += this.#waiting.length
      this.#waiting.clear()
    } else if (this.#waiting.remove((question) => question.id === id)) {
      stopped += 1
    }
    if (this.#current && (id === undefined || this.#current.id === id)) {
      this.#current.controller.abort(new Error('stopped by the user'))
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

  async #run(): Promise<void> {
    for (let question = this.#waiting.shift(); question; question = this.#waiting.shift()) {
      const controller = new AbortController()
      this.#current = { id: question.id, controller }
      try {
        await this.#answer(question, controller)
      } catch (error) {
        // `say` failed: the user is gone.
        this.#options.logger?.debug('a reply could not be delivered:', error)
        this.#waiting.clear()
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
    const delta = { role: 'assistant', type: 'message', request_id: question.id } as const
    let answer = ''
    let failed = false
    await say({ ...delta, content: '', start: true, state: 'thinking' })
    try {
      for await (const piece of responder.respond(question, { signal, history: [...this.#history] })) {
        if (signal.aborted) break
        if (piece === '') continue
        await say({ ...delta, content: piece, ...(answer === '' ? { state: 'speaking' as const } : {}) })
        answer += piece
      }
    } catch (error) {
      failed = !signal.aborted
      if (failed) logger?.error('the responder failed:', error)
    }
    this.#remember(question.content, answer)
    await say({
      ...delta,
      content: '',
      end: true,
      state: 'idle',
      ...(failed ? { error: true as const } : {}),
    })
  }

  #remember(question: string, answer: string): void {
    this.#history.push({ role: 'user', content: question }, { role: 'assistant', content: answer })
    let characters = this.#history.reduce((sum, { content }) => sum + content.length, 0)
    while (this.#history.length > HISTORY_TURNS || characters > HISTORY_CHARACTERS) {
      characters -= this.#history.shift()?.content.length ?? 0
    }
  }
}
