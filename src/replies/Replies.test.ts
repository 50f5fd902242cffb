import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { MemoryLogStore } from './MemoryLogStore.ts'
import { Replies } from './Replies.ts'
import type { ReplyEvent } from './replyMessages.ts'

const LEASE_MS = 10_000
let clock: VirtualClock
let replies: Replies

beforeEach(() => {
  clock = new VirtualClock()
  replies = new Replies({ clock, leaseMs: LEASE_MS })
})
afterEach(async () => {
  await replies.close()
  expect(clock.pending).toBe(0)
})

/** What a reader has put together. */
class Screen {
  text = ''
  readonly parts: unknown[] = []
  readonly states: string[] = []
  readonly offsets: string[] = []
  over = false

  take(event: ReplyEvent): void {
    this.offsets.push(event.offset)
    if (event.type === 'text') this.text += event.text
    else if (event.type === 'part') this.parts.push(event.part)
    else if (event.type === 'reset') this.text = ''
    else this.states.push(event.error ? `${event.state} ${event.error.code}` : event.state)
  }

  async follow(events: AsyncIterable<ReplyEvent>): Promise<this> {
    for await (const event of events) this.take(event)
    this.over = true
    return this
  }
}

const read = (...args: Parameters<Replies['read']>) => new Screen().follow(replies.read(...args))
const code = (expected: string) => expect.objectContaining({ code: expected })

describe('a reply', () => {
  it('is read as it was written: by who was there, by who comes late, by who goes on', async () => {
    const writer = await replies.start({ id: 'one' })
    const early = read('one')
    await writer.write('Hel')
    await clock.advance(0)
    await writer.writePart({ tool: 'search' })
    await writer.write('lo')
    await writer.write(' there')
    await writer.complete()
    const first = await early
    expect(first).toMatchObject({ text: 'Hello there', parts: [{ tool: 'search' }], states: ['complete'] })
    const late = await read('one')
    expect(late).toMatchObject({ text: 'Hello there', parts: [{ tool: 'search' }], states: ['complete'] })
    expect((await read('one', { offset: first.offsets[0] as string })).text).toBe('lo there')
    expect(await replies.find('one')).toMatchObject({ state: 'complete', owner: '' })
  })

  it('gives late readers texts that follow each other as one', async () => {
    const writer = await replies.start({ id: 'one' })
    for (const word of ['a', 'b', 'c']) await writer.write(word)
    await writer.complete()
    const events: ReplyEvent[] = []
    for await (const event of replies.read('one')) events.push(event)
    expect(events.map(({ type }) => type)).toEqual(['text', 'state'])
  })

  it('whatever is written, and from wherever it is read: nothing twice, nothing missing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.record({ n: fc.nat() })), { maxLength: 12 }),
        fc.array(fc.nat(12), { maxLength: 4 }),
        async (items, stops) => {
          const writer = await replies.start()
          const reader = new Screen()
          let rest: Promise<unknown> = Promise.resolve()
          for (const [index, item] of items.entries()) {
            if (typeof item === 'string') await writer.write(item)
            else await writer.writePart(item)
            if (stops.includes(index)) await rest
            // Reads what there is so far, and no further, from where it stopped before.
            const leave = new AbortController()
            const offset = reader.offsets.at(-1) ?? '-1'
            rest = reader.follow(replies.read(writer.id, { offset, signal: leave.signal }))
            await clock.advance(0)
            leave.abort()
            await rest
          }
          await writer.complete()
          await reader.follow(replies.read(writer.id, { offset: reader.offsets.at(-1) ?? '-1' }))
          const texts = items.filter((item) => typeof item === 'string')
          // Lone halves of a pair have no form in UTF-8.
          expect(reader.text).toBe(texts.join('').toWellFormed())
          expect(reader.parts).toEqual(items.filter((item) => typeof item !== 'string'))
          expect(reader.states).toEqual(['complete'])
        },
      ),
      { numRuns: 60 },
    )
  })

  it('that fails says so with a code and a message, and nothing else of the error', async () => {
    const writer = await replies.start({ id: 'one' })
    await writer.write('half')
    await writer.fail(Object.assign(new Error('the model is gone'), { code: 'UPSTREAM', secret: 'key' }))
    expect(await read('one')).toMatchObject({ text: 'half', states: ['failed UPSTREAM'] })
    expect(JSON.stringify(await replies.logs.find('/v1/replies/one'))).not.toContain('key')
  })

  it('ends once: what is written afterwards is refused', async () => {
    const writer = await replies.start()
    await writer.complete()
    await expect(writer.write('more')).rejects.toEqual(code('CANCELLED'))
    await expect(writer.complete()).rejects.toEqual(code('CANCELLED'))
  })

  it('is one: its id is taken, and must be one that a path can hold', async () => {
    await replies.start({ id: 'one' })
    await expect(replies.start({ id: 'one' })).rejects.toEqual(code('BAD_REQUEST'))
    for (const id of ['', '/one', 'one/', '../one', 'a/../b', '\ud800', 'x'.repeat(1001), 7 as never])
      await expect(replies.start({ id })).rejects.toEqual(code('BAD_REQUEST'))
  })

  it('is gone a while after its last use, and not before', async () => {
    const short = new Replies({ clock, ttlMs: 60_000 })
    const writer = await short.start({ id: 'one' })
    await writer.complete()
    await clock.advance(50_000)
    await new Screen().follow(short.read('one'))
    await clock.advance(50_000)
    expect(await short.find('one')).toBeDefined()
    await clock.advance(20_000)
    expect(await short.find('one')).toBeUndefined()
    await short.close()
  })
})

describe('stopping', () => {
  it('any reader stops it: the signal of its producer aborts, all readers see the text so far', async () => {
    const writer = await replies.start({ id: 'one', owner: 'ada' })
    const reader = read('one', { principal: 'ada' })
    await writer.write('so far')
    expect(await replies.stop('one', { principal: 'ada' })).toBe(true)
    await clock.advance(0)
    expect(writer.signal.aborted).toBe(true)
    expect(await reader).toMatchObject({ text: 'so far', states: ['stopped'] })
    expect(await replies.stop('one', { principal: 'ada' })).toBe(false)
    await expect(writer.write('more')).rejects.toEqual(code('CANCELLED'))
  })

  it('ends a source that is being piped, even one that gives nothing any more', async () => {
    let ended = false
    async function* source() {
      try {
        yield 'one '
        await new Promise(() => {})
      } finally {
        ended = true
      }
    }
    const stream = new ReadableStream({
      start: (controller) => controller.enqueue('two'),
      cancel: () => {
        ended = true
      },
    })
    for (const given of [source(), stream]) {
      ended = false
      const writer = await replies.start()
      const piped = writer.pipe(given)
      await clock.advance(0)
      await replies.stop(writer.id)
      expect(await piped).toBe('stopped')
      // A generator that hangs in an `await` cannot be ended by anybody.
      if (given === stream) expect(ended).toBe(true)
    }
  })

  it('a source that throws ends the reply as failed, one that ends as complete', async () => {
    const one = await replies.start()
    const failing = async function* () {
      yield 'half'
      throw new Error('upstream')
    }
    expect(await one.pipe(failing())).toBe('failed')
    expect(await read(one.id)).toMatchObject({ text: 'half', states: ['failed REMOTE'] })
    const other = await replies.start()
    expect(
      await other.pipe(
        (async function* () {
          yield 'all'
          yield { n: 1 }
        })(),
      ),
    ).toBe('complete')
    expect(await read(other.id)).toMatchObject({ text: 'all', parts: [{ n: 1 }], states: ['complete'] })
  })
})

describe('a producer that dies', () => {
  it('is noticed within its lease, by readers that wait and by those that come', async () => {
    const store = new MemoryLogStore()
    const here = new Replies({ clock, leaseMs: LEASE_MS, store })
    const writer = await here.start({ id: 'one' })
    const screen = new Screen()
    const following = screen.follow(here.read('one'))
    await writer.write('half')
    writer.abandon()
    await clock.advance(LEASE_MS - 1)
    expect(screen.states).toEqual([])
    await clock.advance(2000)
    expect(screen).toMatchObject({ text: 'half', states: ['interrupted'], over: false })
    const next = await here.takeOver('one')
    await next?.write('whole')
    await next?.complete()
    expect(await following).toMatchObject({ text: 'whole', states: ['interrupted', 'complete'] })
    await here.close()
  })

  it('that lives on keeps its lease by itself, however long it says nothing', async () => {
    const writer = await replies.start({ id: 'one' })
    await clock.advance(LEASE_MS * 20)
    expect(await replies.find('one')).toMatchObject({ state: 'running' })
    await writer.complete()
  })

  it('and comes back is kept out by who took over', async () => {
    const writer = await replies.start({ id: 'one' })
    await writer.write('old')
    const next = await replies.takeOver('one')
    await clock.advance(0)
    expect(writer.signal.aborted).toBe(true)
    await expect(writer.write(' late')).rejects.toEqual(code('CANCELLED'))
    await next?.write('new')
    await next?.complete()
    expect((await read('one')).text).toBe('new')
  })

  it('what has ended, or never was, is not taken over', async () => {
    await (await replies.start({ id: 'one' })).complete()
    expect(await replies.takeOver('one')).toBeUndefined()
    expect(await replies.takeOver('none')).toBeUndefined()
  })
})

describe('who may', () => {
  it('strangers neither read nor stop, and cannot tell it from what is not there', async () => {
    const writer = await replies.start({ id: 'one', owner: 'ada' })
    await expect(read('one', { principal: 'eve' })).rejects.toEqual(code('BAD_REQUEST'))
    await expect(read('none', { principal: 'eve' })).rejects.toEqual(code('BAD_REQUEST'))
    expect(await replies.stop('one', { principal: 'eve' })).toBe(false)
    expect(await replies.find('one', { principal: 'eve' })).toBeUndefined()
    expect(writer.signal.aborted).toBe(false)
    await writer.complete()
  })

  it('with the audience `everyone` others read and stop', async () => {
    await replies.start({ id: 'one', owner: 'ada', audience: 'everyone' })
    expect(await replies.stop('one', { principal: 'bob' })).toBe(true)
    expect((await read('one', { principal: 'bob' })).states).toEqual(['stopped'])
  })

  it('number and size are bounded, for each owner and in all', async () => {
    const few = new Replies({ clock, maxReplies: 3, maxRepliesPerOwner: 2, maxReplyBytes: 200 })
    const first = await few.start({ owner: 'ada' })
    await few.start({ owner: 'ada' })
    await expect(few.start({ owner: 'ada' })).rejects.toEqual(code('QUEUE_FULL'))
    await few.start({ owner: 'bob' })
    await expect(few.start({ owner: 'bob' })).rejects.toEqual(code('QUEUE_FULL'))
    await first.write('x'.repeat(150))
    await expect(first.write('x'.repeat(150))).rejects.toEqual(code('QUEUE_FULL'))
    // How it ends finds room all the same.
    expect(await few.stop(first.id)).toBe(true)
    await few.close()
  })

  it('names wrong options and offsets', async () => {
    expect(() => new Replies({ path: 'replies/' })).toThrow(/"path"/)
    expect(() => new Replies({ leaseMs: 0 })).toThrow(/"leaseMs"/)
    await replies.start({ id: 'one' })
    await expect(read('one', { offset: 'first' })).rejects.toThrow(/"offset".*"first"/)
  })
})

it('readers end when the replies are closed, and when their signal aborts', async () => {
  const own = new Replies({ clock })
  await own.start({ id: 'one' })
  const leave = new AbortController()
  const left = new Screen().follow(own.read('one', { signal: leave.signal }))
  const stayed = new Screen().follow(own.read('one'))
  await clock.advance(0)
  leave.abort()
  expect((await left).over).toBe(true)
  await own.close()
  expect((await stayed).over).toBe(true)
})
