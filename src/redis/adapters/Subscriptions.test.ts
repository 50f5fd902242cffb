import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import { type Listening, Subscriptions } from './Subscriptions.ts'

/** A connection that a test opens, answers and ends. */
class Line implements Listening {
  readonly #ready = Promise.withResolvers<void>()
  readonly ready = this.#ready.promise
  readonly channels: string[] = []
  readonly end: (error?: unknown) => void
  closed = false

  constructor(end: (error?: unknown) => void) {
    this.end = end
  }

  async subscribe(channel: string): Promise<void> {
    this.channels.push(channel)
  }

  async unsubscribe(): Promise<void> {}

  open(): void {
    this.#ready.resolve()
  }

  close(): void {
    this.closed = true
  }
}

describe('subscriptions', () => {
  function make() {
    const lines: Line[] = []
    const clock = new VirtualClock()
    const open = (_onMessage: unknown, onEnd: (error?: unknown) => void) => {
      const line = new Line(onEnd)
      lines.push(line)
      return line
    }
    const subscriptions = new Subscriptions(open, clock, () => 0.5)
    const gaps: string[] = []
    const listen = (channel: string) =>
      subscriptions.subscribe(
        channel,
        () => {},
        () => gaps.push(channel),
      )
    const latest = () => lines.at(-1) as Line
    return { clock, subscriptions, lines, gaps, listen, latest }
  }

  it('missed nothing before they first listened, however often that was tried', async () => {
    const { clock, subscriptions, lines, gaps, listen, latest } = make()
    const listening = Promise.all([listen('a'), listen('b')])
    for (let tries = 0; tries < 3; tries += 1) {
      latest().end(new Error('refused'))
      await clock.advance(5000)
    }
    latest().open()
    await listening
    expect(lines).toHaveLength(4)
    expect(latest().channels).toEqual(['a', 'b'])
    expect(gaps).toEqual([])
    subscriptions.close()
  })

  it('may have missed something whenever they listened before: each is told once it listens again', async () => {
    const { clock, subscriptions, gaps, listen, latest } = make()
    const first = listen('a')
    latest().open()
    await first
    latest().end()
    const late = listen('late')
    await clock.advance(5000)
    latest().end()
    await clock.advance(5000)
    expect(gaps).toEqual([])
    latest().open()
    await late
    await clock.advance(0)
    expect(gaps).toEqual(['a'])
    latest().end()
    await clock.advance(5000)
    latest().open()
    await clock.advance(0)
    expect(gaps).toEqual(['a', 'a', 'late'])
    subscriptions.close()
    expect(latest().closed).toBe(true)
  })
})
