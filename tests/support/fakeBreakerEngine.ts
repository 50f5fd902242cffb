// An engine in memory and in virtual time that knows one script, the shared breaker, and publishes: with latency, with absences.

import type { Clock } from '../../src/core/clock.ts'
import type { BreakerRequest } from '../../src/redis/breaker/breakerScript.ts'
import type { RedisArgument, RedisEngine, RedisReply } from '../../src/redis/RedisEngine.ts'
import { answerBreaker, type BreakerState, freshBreaker } from './breakerModel.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

interface Listener {
  readonly onMessage: (message: Uint8Array) => void
  readonly onGap: () => void
}

export class FakeBreakerEngine {
  commands: string[] = []
  latencyMs = 1
  publishes = true
  #isDown = false
  readonly #clock: Clock
  readonly #kept = new Map<string, BreakerState>()
  readonly #listeners = new Set<Listener>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Its connections break; nothing is forgotten. */
  fall(): void {
    this.#isDown = true
  }

  /** It is back, and whoever listens has missed what was published. */
  rise(): void {
    this.#isDown = false
    for (const { onGap } of [...this.#listeners]) onGap()
  }

  forget(): void {
    this.#kept.clear()
  }

  connect(): RedisEngine {
    const travel = () =>
      new Promise<void>((resolve, reject) => {
        this.#clock.setTimeout(
          () => (this.#isDown ? reject(new Error('read ECONNRESET')) : resolve()),
          this.latencyMs,
        )
      })
    return {
      command: async (args) => {
        if (this.#isDown) throw new Error('connect ECONNREFUSED')
        if (args[0] === 'INFO') return bytes('redis_version:7.0.15')
        await travel()
        const reply = this.#run(args)
        await travel()
        return reply
      },
      subscribe: async (_channel, onMessage, onGap) => {
        const listener = { onMessage, onGap }
        this.#listeners.add(listener)
        return async () => {
          this.#listeners.delete(listener)
        }
      },
      close: async () => {},
    }
  }

  #run(args: readonly RedisArgument[]): RedisReply {
    const [, , , key = '', id = '', word = '', openMs, openings, probes] = args.map(String)
    this.commands.push(word)
    const kept = this.#kept.get(key) ?? freshBreaker()
    this.#kept.set(key, kept)
    const request = {
      word: word as BreakerRequest['word'],
      openMs: Number(openMs),
      openings: Number(openings),
      probes: Number(probes),
    }
    const { facts, published } = answerBreaker(kept, id, request, 1_000_000 + Math.floor(this.#clock.now()))
    const state = kept.state === 'OPEN' ? 1 : kept.state === 'ISOLATED' ? 2 : 0
    const left = kept.state === 'ISOLATED' ? -1 : (facts.remainingMs ?? 0)
    if (published && this.publishes) {
      const message = bytes(`${facts.version} ${facts.state} ${left} ${facts.openings}`)
      for (const { onMessage } of [...this.#listeners])
        this.#clock.setTimeout(() => !this.#isDown && onMessage(message), this.latencyMs)
    }
    return [facts.version, state, left, facts.openings, facts.granted ? 1 : 0, facts.probingMs, facts.now]
  }
}
