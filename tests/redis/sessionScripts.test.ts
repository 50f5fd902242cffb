// Each script of the session store against its model, in random order, right and wrong: the same answer, every time.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { RedisArgument, RedisEngine, RedisReply } from '../../src/redis/RedisEngine.ts'
import type { Script } from '../../src/redis/Script.ts'
import * as scripts from '../../src/redis/sessionScripts.ts'
import { unpack } from '../../src/redis/sessionWire.ts'
import { VirtualClock } from '../../src/testing/VirtualClock.ts'
import { ModelServer } from '../support/ModelServer.ts'
import { ioredis, ioredisCluster, type OpenedEngine } from '../support/redisClients.ts'
import { canRunRedis, type RedisCluster, RedisServer, startCluster } from '../support/redisServers.ts'

type Kind = 'accept' | 'drop' | 'number' | 'void' | 'prune' | 'rx' | 'epoch' | 'took'

interface Step {
  readonly do: 'begin' | 'write' | 'end' | 'claim' | 'release' | 'touch' | 'post'
  readonly who: 0 | 1
  /** Whether it knows who it is, and how far it is. */
  readonly fence: number
  readonly seq: number
  readonly held: number
  readonly dead: boolean
  readonly settled: boolean
  readonly room: number
  /** What it shows when it comes for a client, if it does. */
  readonly shows: readonly string[]
  /** The epoch of who has asked for what is released; none where nobody has. */
  readonly askedFor: string | undefined
  readonly makes: readonly { readonly kind: Kind; readonly value: number }[]
}

const kinds: readonly Kind[] = ['accept', 'drop', 'number', 'number', 'void', 'prune', 'rx', 'epoch', 'took']
const mostly = (right: number, ...wrong: number[]) => fc.constantFrom(right, right, right, right, ...wrong)
const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom(
    ...(['begin', 'begin', 'write', 'write', 'write', 'write', 'write', 'end', 'claim'] as const),
    ...(['claim', 'release', 'release', 'touch', 'post', 'post'] as const),
  ),
  who: fc.constantFrom(0, 0, 0, 1),
  fence: mostly(0, 1, -1),
  seq: mostly(1, 1, 1, 0, 2, -1),
  held: fc.constantFrom(0, 3, 9, 9, 9),
  dead: fc.boolean(),
  settled: fc.boolean(),
  room: fc.constantFrom(1, 3, 100),
  shows: fc.constantFrom([], [], ['k', 'p', '5'], ['k', 'p', '9'], ['k', 'other', '9'], ['wrong', 'p', '9']),
  askedFor: fc.constantFrom(undefined, '', '2', '7', '9'),
  makes: fc.array(fc.record({ kind: fc.constantFrom(...kinds), value: fc.integer({ min: 1, max: 8 }) }), {
    minLength: 1,
    maxLength: 5,
  }),
}) as fc.Arbitrary<Step>

const OWNERS = ['one.1', 'two.1'] as const
const KEEP = 600_000
/** Where a list begins that a script has packed. */
const LIST = 0x2a

/** What is asked of both, and what each calls the messages of the inbox. */
class Pair {
  readonly #real: RedisEngine
  readonly #model = new ModelServer(new VirtualClock())
  readonly #keys: readonly string[]
  readonly #ids: { real: string; model: string }[] = []
  readonly #said = { real: [] as Uint8Array[], model: [] as Uint8Array[] }
  /** How the channels of stores begin. */
  readonly channels: string
  #leave: (() => Promise<void>)[] = []

  constructor(real: RedisEngine, name: string) {
    this.#real = real
    const key = `{${name}}`
    this.channels = `${name} to:`
    this.#keys = [key, `${key}:m`, `${key}:w`, `${key}:i`]
  }

  /** Hears from now on what is told to the stores. */
  async listen(): Promise<void> {
    for (const owner of OWNERS) {
      const channel = this.channelOf(owner)
      this.#model.subscribe(channel, (note) => this.#said.model.push(note))
      const hear = (note: Uint8Array) => this.#said.real.push(note)
      this.#leave.push(await this.#real.subscribe(channel, hear, () => {}))
    }
  }

  /** Both have said the same, to the last word. */
  async compareNotes(): Promise<void> {
    const channel = this.channelOf(OWNERS[0])
    // By the node of a cluster that has said all the others.
    const [key = ''] = this.#keys
    await this.#real.command(
      ['EVAL', "return redis.call('PUBLISH', ARGV[1], ARGV[2])", '1', key, channel, 'the last'],
      key,
    )
    this.#model.execute(['PUBLISH', channel, 'the last'])
    await vi.waitFor(() => expect(textOf(this.#said.real.at(-1) ?? new Uint8Array())).toBe('the last'), {
      interval: 1,
    })
    expect(this.#notes('real')).toEqual(this.#notes('model'))
    for (const leave of this.#leave) await leave()
  }

  channelOf(owner: string): string {
    return this.channels + owner.slice(0, owner.indexOf('.'))
  }

  #notes(side: 'real' | 'model'): unknown[] {
    return this.#said[side].map((note) => {
      const at = note.indexOf(LIST)
      if (at < 0) return textOf(note)
      const all = this.#plain(unpack(note.subarray(at)) as RedisReply, side)
      sortWaiting(all)
      return [textOf(note.subarray(0, at)), all]
    })
  }

  id(index: number): { real: string; model: string } {
    return this.#ids[index % Math.max(1, this.#ids.length)] ?? { real: '1-1', model: '1-1' }
  }

  async ask(
    script: Script,
    keys: readonly number[],
    args: (side: 'real' | 'model') => readonly RedisArgument[],
  ): Promise<RedisReply> {
    const names = keys.map((index) => this.#keys[index] as string)
    const rest = (side: 'real' | 'model') => [`${names.length}`, ...names, ...args(side)]
    const real = await this.#real.command(['EVAL', script.source, ...rest('real')], names[0])
    const model = this.#model.execute(['EVALSHA', script.sha, ...rest('model')])
    if (script === scripts.post && Array.isArray(real) && Array.isArray(model))
      this.#ids.push({ real: textOf(real[0]), model: textOf(model[0]) })
    const [one, other] = [this.#plain(real, 'real'), this.#plain(model, 'model')]
    if (script === scripts.claim) for (const side of [one, other]) sortWaiting(side)
    expect(one).toEqual(other)
    return model
  }

  /** Texts for bytes, and the same names for the same messages. */
  #plain(reply: RedisReply, side: 'real' | 'model'): unknown {
    if (Array.isArray(reply)) return reply.map((one) => this.#plain(one, side))
    if (!(reply instanceof Uint8Array)) return reply
    const text = textOf(reply)
    // The latest of that name: a stream that is made anew within the same millisecond gives its first name again.
    const known = this.#ids.findLastIndex((id) => id[side] === text)
    return known < 0 ? text : `posted ${known}`
  }
}

const textOf = (reply: RedisReply | undefined) => Buffer.from(reply as Uint8Array).toString('latin1')

/** A hash has no order. */
function sortWaiting(claimed: unknown): void {
  if (!Array.isArray(claimed)) return
  const pairs = claimed[8] as string[]
  claimed[8] = pairs.filter((_, index) => index % 2 === 0).map((seq, index) => [seq, pairs[index * 2 + 1]])
  ;(claimed[8] as string[][]).sort(([one], [other]) => Number(one) - Number(other))
}

let names = 0

async function compare(engine: RedisEngine, steps: readonly Step[]): Promise<void> {
  names += 1
  const pair = new Pair(engine, `session ${names}`)
  await pair.listen()
  /** What the rightful owner knows. */
  let fence = 0
  let seq = 0
  let last = 0
  let count = 0
  for (const one of steps) {
    const owner = OWNERS[one.who]
    const args = (side: 'real' | 'model', begins: boolean) => {
      const ops: RedisArgument[] = begins ? ['B', '{"key":"k","principal":"p"}'] : []
      let number = begins ? 0 : last
      for (const [index, { kind, value }] of one.makes.entries())
        switch (kind) {
          case 'accept':
            ops.push('A', `${value}`, `blob ${count + index}\n`)
            break
          case 'drop':
            ops.push('D', `${value}`)
            break
          case 'number':
            number += 1
            ops.push('N', `${number}`, `${value}`, new Uint8Array([255, 0, 10, value]))
            break
          case 'void':
            ops.push('V', `${value}`)
            break
          case 'prune':
            ops.push('P', `${Math.min(value, number)}`)
            break
          case 'rx':
            ops.push('R', `${value}`)
            break
          case 'epoch':
            ops.push('E', `${value}`)
            break
          case 'took':
            ops.push('T', pair.id(value)[side])
        }
      if (one.do === 'end') ops.push('X')
      const ms = one.settled ? KEEP : -KEEP
      return [
        owner,
        `${begins ? 1 : fence + one.fence}`,
        `${begins ? 1 : seq + one.seq}`,
        `${one.held}`,
        `${ms}`,
        ...ops,
      ]
    }
    count += one.makes.length
    switch (one.do) {
      case 'begin':
      case 'write':
      case 'end': {
        const begins = one.do === 'begin'
        const grows = one.makes.some(({ kind }) => kind === 'number')
        const reply = await pair.ask(grows ? scripts.grow : scripts.write, [0, 1, 2, 3], (side) =>
          args(side, begins),
        )
        // What was done before is done once.
        const isDone = reply === 1 && (begins ? fence === 0 : one.seq === 1)
        if (isDone) {
          if (begins) last = 0
          last += one.makes.filter(({ kind }) => kind === 'number').length
          fence = begins ? 1 : fence
          seq = begins ? 1 : seq + 1
        }
        if (Array.isArray(reply) || reply === -2) fence = seq = last = 0
        break
      }
      case 'claim': {
        const dead = one.dead ? OWNERS[1 - one.who] : ''
        const reply = await pair.ask(scripts.claim, [0, 1, 2, 3], () => [
          owner,
          dead ?? '',
          one.dead ? '' : pair.channels,
          'want',
          ...one.shows,
        ])
        if (!Array.isArray(reply)) break
        fence = reply[0] as number
        seq = 0
        break
      }
      case 'release': {
        const other = OWNERS[one.who === 0 ? 1 : 0]
        const { askedFor } = one
        const asked = askedFor === undefined ? [] : [pair.channelOf(other), 'free ', other, askedFor]
        const reply = await pair.ask(scripts.release, [0, 1, 2, 3], () => [
          owner,
          one.dead ? '' : `${fence + one.fence}`,
          `${seq + one.seq - 1}`,
          one.settled ? '7' : '',
          ...asked,
        ])
        if (reply === -2) fence = seq = last = 0
        if (reply === 2) {
          fence += 1
          seq = 0
        }
        break
      }
      case 'touch':
        await pair.ask(scripts.touch, [0, 1, 2, 3], () => [owner, `${fence + one.fence}`, `${KEEP}`])
        break
      case 'post':
        await pair.ask(scripts.post, [0, 3], () => [
          `${one.room}`,
          `${one.held * 10 + 10}`,
          `posted ${count}`,
          owner,
          `${one.seq > 0 ? count : Math.max(0, count - 2)}`,
          one.fence < 0 ? '-1' : '9999999999999',
        ])
    }
  }
  await pair.compareNotes()
}

describe.each([
  { name: 'one server', runs: 400 },
  { name: 'a cluster', runs: 150 },
])('the scripts on $name', ({ name, runs }) => {
  const can = canRunRedis(`the scripts of sessions on ${name}`)
  let cluster: RedisCluster | undefined
  let server: RedisServer | undefined
  let open: OpenedEngine
  beforeAll(async () => {
    if (!can) return
    if (name === 'a cluster') cluster = await startCluster()
    else server = await RedisServer.start()
    open = cluster
      ? ioredisCluster(cluster.nodes.map(({ port }) => port))
      : ioredis({ port: (server as RedisServer).port })
  })
  afterAll(async () => {
    await open?.end()
    await cluster?.stop()
    await server?.stop()
  })

  it.skipIf(!can)('do what their model does, whatever they are asked', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(step, { minLength: 1, maxLength: 30 }),
        (begins, [first, ...rest]) =>
          compare(open.engine, [{ ...(first as Step), ...(begins && { do: 'begin' }) }, ...rest]),
      ),
      { numRuns: runs },
    )
  })
})
