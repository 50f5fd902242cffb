// An engine in memory that does what the scripts of the session store say, written down from their words, in virtual time. It is
// compared with the real one, and carries whole fleets in the simulation.

import type { Clock } from '../../src/core/clock.ts'
import type { RedisArgument, RedisEngine, RedisReply } from '../../src/redis/RedisEngine.ts'
import * as scripts from '../../src/redis/sessionScripts.ts'

interface Message {
  readonly id: string
  readonly blob: Uint8Array
}

interface Kept {
  readonly head: string
  readonly keepMs: number
  owner: string
  fence: number
  seq: number
  epoch: number
  rx: number
  acked: number
  last: number
  voids: number[]
  suspect: string
  expiresAt: number
  numbered: Map<number, Uint8Array>
  /** By `seq`. */
  waiting: Map<string, Uint8Array>
  inbox: Message[]
  /** What each poster has left last. */
  posters?: Map<string, { readonly number: number; readonly id: string }>
}

const decoder = new TextDecoder()
const encoder = new TextEncoder()
const text = (value: RedisArgument) => (typeof value === 'string' ? value : decoder.decode(value))
const bytes = (value: RedisArgument) => (typeof value === 'string' ? encoder.encode(value) : value)
const bulk = (value: string | number) => encoder.encode(`${value}`)

/** How many arguments follow each letter of a batch. */
const ARITY: Record<string, number> = { B: 1, A: 2, D: 1, N: 3, V: 1, P: 1, R: 1, E: 1, X: 0, T: 1 }

interface Op {
  readonly what: string
  readonly args: readonly RedisArgument[]
}

function opsOf(args: readonly RedisArgument[]): Op[] {
  const ops: Op[] = []
  for (let at = 0; at < args.length; ) {
    const what = text(args[at] as RedisArgument)
    const count = ARITY[what] as number
    ops.push({ what, args: args.slice(at + 1, at + 1 + count) })
    at += 1 + count
  }
  return ops
}

export class ModelServer {
  readonly #clock: Clock
  readonly #sessions = new Map<string, Kept>()
  readonly #leases = new Map<string, number>()
  readonly #nodes = new Set<string>()
  readonly #sets = new Map<string, Set<string>>()
  readonly #channels = new Map<string, Set<(message: Uint8Array) => void>>()
  #ids = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many sessions it keeps. */
  get size(): number {
    return [...this.#sessions.keys()].filter((key) => this.#session(key)).length
  }

  /** The node that owns a session of the store with the default prefix; empty for none. */
  ownerOf(sid: string): string {
    return this.#session(`guru:{${sid}}`)?.owner ?? ''
  }

  /** Does a command at once. @throws Error as the engine would answer with */
  execute(args: readonly RedisArgument[]): RedisReply {
    const [command = '', first = '', ...rest] = args
    switch (text(command)) {
      case 'EVALSHA': {
        const count = Number(text(rest[0] ?? ''))
        const keys = rest.slice(1, 1 + count).map(text)
        return this.#run(text(first), keys, rest.slice(1 + count))
      }
      case 'TIME': {
        const now = this.#clock.now()
        return [bulk(Math.floor(now / 1000)), bulk(Math.floor((now % 1000) * 1000))]
      }
      case 'INFO':
        return bulk('redis_version:7.0.15\r\n')
      case 'PUBLISH': {
        const listeners = [...(this.#channels.get(text(first)) ?? [])]
        for (const listener of listeners) listener(bytes(rest[0] ?? ''))
        return listeners.length
      }
      default:
        return this.#plain(text(command), text(first), rest)
    }
  }

  subscribe(channel: string, listener: (message: Uint8Array) => void): () => void {
    const listeners = this.#channels.get(channel) ?? new Set()
    this.#channels.set(channel, listeners.add(listener))
    return () => listeners.delete(listener)
  }

  #plain(command: string, key: string, rest: readonly RedisArgument[]): RedisReply {
    const now = this.#clock.now()
    switch (command) {
      case 'EXISTS':
        return (this.#leases.get(key) ?? 0) > now ? 1 : 0
      case 'PEXPIRE':
        if ((this.#leases.get(key) ?? 0) <= now) return 0
        this.#leases.set(key, now + Number(text(rest[0] ?? '')))
        return 1
      case 'SET':
        this.#leases.set(key, now + Number(text(rest[2] ?? '')))
        return bulk('OK')
      case 'DEL':
        this.#leases.delete(key)
        return this.#sessions.delete(key) ? 1 : 0
      case 'ZADD':
        this.#nodes.add(text(rest[1] ?? ''))
        return 1
      case 'ZREM':
        return this.#nodes.delete(text(rest[0] ?? '')) ? 1 : 0
      case 'ZRANGE':
        return [...this.#nodes].map(bulk)
      case 'SADD':
        this.#sets.set(key, (this.#sets.get(key) ?? new Set()).add(text(rest[0] ?? '')))
        return 1
      case 'SREM':
        return this.#sets.get(key)?.delete(text(rest[0] ?? '')) ? 1 : 0
      case 'SCARD':
        return this.#sets.get(key)?.size ?? 0
      case 'SSCAN':
        return [bulk('0'), [...(this.#sets.get(key) ?? [])].map(bulk)]
      case 'XRANGE': {
        const inbox = this.#session(key.slice(0, -2))?.inbox ?? []
        const from = text(rest[0] ?? '')
        const at = from.startsWith('(') ? inbox.findIndex(({ id }) => later(id, from.slice(1))) : 0
        return at < 0 ? [] : inbox.slice(at, at + Number(text(rest[3] ?? '100'))).map(entryOf)
      }
      default:
        throw new Error(`ERR the model knows no ${command}`)
    }
  }

  #run(sha: string, keys: readonly string[], args: readonly RedisArgument[]): RedisReply {
    const [key = ''] = keys
    switch (sha) {
      case scripts.grow.sha:
      case scripts.write.sha:
        return this.#write(key, args)
      case scripts.claim.sha:
        return this.#claim(key, args.map(text), args[3])
      case scripts.release.sha:
        return this.#release(key, args.map(text), args[5])
      case scripts.touch.sha: {
        const kept = this.#session(key)
        if (kept?.owner !== text(args[0] ?? '') || `${kept.fence}` !== text(args[1] ?? '')) return -1
        kept.expiresAt = this.#clock.now() + Number(text(args[2] ?? ''))
        return kept.inbox.length
      }
      case scripts.post.sha:
        return this.#post(key, args)
      case scripts.vital.sha:
        return this.#plain(text(args[0] ?? ''), key, args.slice(1))
      default:
        throw new Error('NOSCRIPT the model knows no such script')
    }
  }

  #session(key: string): Kept | undefined {
    const kept = this.#sessions.get(key)
    if (!kept || kept.expiresAt > this.#clock.now()) return kept
    this.#sessions.delete(key)
    return undefined
  }

  #write(key: string, args: readonly RedisArgument[]): RedisReply {
    const [owner = '', fence = '', seq = '', held = '', ms = ''] = args.map(text)
    const ops = opsOf(args.slice(5))
    let kept = this.#session(key)
    const keepMs = Math.abs(Number(ms))
    if (ops[0]?.what === 'B') {
      if (kept) return kept.owner === owner && `${kept.fence}` === fence && `${kept.seq}` === seq ? 1 : 0
      kept = {
        head: text(ops[0].args[0] as RedisArgument),
        keepMs,
        owner,
        fence: Number(fence),
        seq: 0,
        epoch: 0,
        rx: 0,
        acked: 0,
        last: 0,
        voids: [],
        suspect: '',
        expiresAt: this.#clock.now() + keepMs,
        numbered: new Map(),
        waiting: new Map(),
        inbox: [],
      }
      this.#sessions.set(key, kept)
    } else {
      if (!kept) return -1
      if (kept.owner !== owner || `${kept.fence}` !== fence) return 3
      if (Number(seq) <= kept.seq) return 1
      if (Number(seq) > kept.seq + 1) {
        this.#sessions.delete(key)
        return -2
      }
      if (kept.epoch > Number(held)) return 0
      let highest = kept.epoch
      for (const {
        what,
        args: [one = ''],
      } of ops) {
        if (what !== 'E') continue
        if (Number(text(one)) <= highest) return 0
        highest = Number(text(one))
      }
    }
    let left: RedisReply[] | undefined
    for (const op of ops) left = record(kept, op) ?? left
    if (left) {
      this.#sessions.delete(key)
      return [1, left]
    }
    kept.seq = Number(seq)
    if (Number(ms) > 0) kept.expiresAt = this.#clock.now() + keepMs
    return 1
  }

  #claim(
    key: string,
    [owner = '', dead = '', channels = '', , digest, principal, epoch]: string[],
    note?: RedisArgument,
  ): RedisReply {
    const kept = this.#session(key)
    if (!kept) return null
    let before = kept.epoch
    if (epoch !== undefined) {
      const head = JSON.parse(kept.head) as { key?: string; principal?: string }
      if (head.key !== digest || head.principal !== principal) return 0
      if (Number(epoch) < kept.epoch) return 1
      if (Number(epoch) === kept.epoch) {
        if (kept.owner.split('.')[0] !== owner.split('.')[0]) return 2
        before -= 1
      }
    }
    if (kept.owner !== '' && kept.owner !== owner && kept.owner !== dead) {
      if (channels !== '' && note !== undefined)
        this.execute(['PUBLISH', channels + kept.owner.split('.')[0], note])
      return bulk(kept.owner)
    }
    const all = contentsOf(kept, before, kept.suspect)
    this.#give(kept, owner, epoch)
    return all
  }

  #give(kept: Kept, owner: string, epoch: string | undefined): void {
    if (epoch !== undefined) kept.epoch = Number(epoch)
    kept.fence += 1
    kept.owner = owner
    kept.seq = 0
    kept.suspect = ''
    kept.expiresAt = this.#clock.now() + kept.keepMs
  }

  #release(
    key: string,
    [owner = '', fence = '', seq = '', suspect = '', channel, , to, epoch = '']: string[],
    note?: RedisArgument,
  ): RedisReply {
    const kept = this.#session(key)
    if (kept?.owner !== owner || (fence !== '' && `${kept.fence}` !== fence)) return 0
    if (fence !== '' && kept.seq < Number(seq)) {
      this.#sessions.delete(key)
      return -2
    }
    kept.owner = ''
    kept.suspect = suspect
    const isNew = epoch === '' || Number(epoch) > kept.epoch
    const all = pack(contentsOf(kept, kept.epoch, suspect))
    const isSmall = kept.numbered.size + kept.waiting.size <= 100 && all.length <= 65_536
    if (to !== undefined && channel !== undefined && note !== undefined && isNew && isSmall) {
      this.#give(kept, to, epoch === '' ? undefined : epoch)
      this.execute(['PUBLISH', channel, Buffer.concat([bytes(note), all])])
      return 2
    }
    if (channel !== undefined && note !== undefined) this.execute(['PUBLISH', channel, note])
    return 1
  }

  #post(key: string, args: readonly RedisArgument[]): RedisReply {
    const kept = this.#session(key)
    if (!kept) return null
    const blob = bytes(args[2] ?? '')
    const poster = text(args[3] ?? '')
    const number = Number(text(args[4] ?? ''))
    const latest = kept.posters?.get(poster)
    if (latest && latest.number > number) return -1
    if (latest?.number === number) return latest.id === '' ? 0 : [bulk(latest.id), bulk(kept.owner)]
    if (this.#clock.now() > Number(text(args[5] ?? ''))) return -1
    kept.posters ??= new Map()
    kept.posters.set(poster, { number, id: '' })
    const total = kept.inbox.reduce((sum, message) => sum + message.blob.length, 0)
    if (kept.inbox.length >= Number(text(args[0] ?? ''))) return 0
    if (total + blob.length > Number(text(args[1] ?? ''))) return 0
    this.#ids += 1
    const id = `1-${this.#ids}`
    kept.inbox.push({ id, blob })
    kept.posters.set(poster, { number, id })
    return [bulk(id), bulk(kept.owner)]
  }
}

/** What a fact makes of a session; of an end: what was still in the inbox. */
function record(kept: Kept, { what, args }: Op): RedisReply[] | undefined {
  const [one = '', two = '', three = ''] = args
  const number = Number(text(one))
  switch (what) {
    case 'A':
      kept.waiting.set(text(one), bytes(two))
      return undefined
    case 'D':
      kept.waiting.delete(text(one))
      return undefined
    case 'N':
      kept.waiting.delete(text(two))
      kept.numbered.set(number, bytes(three))
      kept.last = number
      return undefined
    case 'V':
      kept.voids = kept.voids.filter((known) => known > kept.acked)
      if (number > kept.acked && number <= kept.last) kept.voids.push(number)
      return undefined
    case 'P':
      for (const known of kept.numbered.keys()) if (known <= number) kept.numbered.delete(known)
      kept.acked = Math.max(kept.acked, number)
      return undefined
    case 'R':
      kept.rx = Math.max(kept.rx, number)
      return undefined
    case 'E':
      kept.epoch = number
      return undefined
    case 'T':
      kept.inbox = kept.inbox.filter(({ id }) => id !== text(one))
      return undefined
    case 'X':
      return kept.inbox.map(entryOf)
    default:
      return undefined
  }
}

/** All of a session, for its next owner. */
function contentsOf(kept: Kept, before: number, suspect: string): RedisReply[] {
  const numbered = [...kept.numbered].filter(([number]) => number > kept.acked)
  return [
    kept.fence + 1,
    bulk(kept.head),
    bulk(before),
    bulk(kept.rx),
    bulk(kept.acked),
    bulk(kept.last),
    bulk(kept.voids.join(' ')),
    numbered.map(([number, blob]) => entryOf({ id: `${number}-0`, blob })),
    [...kept.waiting].flatMap(([seq, blob]) => [bulk(seq), blob]),
    kept.inbox.length,
    bulk(kept.keepMs),
    bulk(suspect),
  ]
}

function pack(value: RedisReply): Uint8Array {
  if (Array.isArray(value)) return Buffer.concat([bulk(`*${value.length}\n`), ...value.map(pack)])
  const one = value instanceof Uint8Array ? value : bulk(`${value}`)
  return Buffer.concat([bulk(`$${one.length}\n`), one])
}

const entryOf = ({ id, blob }: Message): RedisReply => [bulk(id), [bulk('e'), blob]]

const later = (id: string, than: string) => Number(id.split('-')[1]) > Number(than.split('-')[1])

/** How the network between one process and the engine is. */
export interface ModelLine {
  /** Milliseconds that a command, or its answer, takes. */
  delayMs(): number
  /** Whether a command, or an answer, is lost on its way. */
  loses(): boolean
}

/** One process's way to the engine. Its clock dies with it. */
export class ModelEngine implements RedisEngine {
  readonly #server: ModelServer
  readonly #clock: Clock
  readonly #line: ModelLine
  readonly #leave: (() => void)[] = []
  /** Answers come in the order of the commands, as over one connection. */
  #last = 0

  constructor(server: ModelServer, clock: Clock, line: ModelLine = { delayMs: () => 1, loses: () => false }) {
    this.#server = server
    this.#clock = clock
    this.#line = line
  }

  command(args: readonly RedisArgument[]): Promise<RedisReply> {
    return new Promise((resolve, reject) => {
      // A connection that has broken is made anew, and says so.
      const broken = () => this.#after(() => reject(new Error('read ECONNRESET')))
      if (this.#line.loses()) return broken()
      this.#after(() => {
        let settle: () => void
        try {
          const reply = this.#server.execute(args)
          settle = () => resolve(reply)
        } catch (error) {
          settle = () => reject(error)
        }
        if (this.#line.loses()) broken()
        else this.#after(settle)
      })
    })
  }

  async subscribe(
    channel: string,
    onMessage: (message: Uint8Array) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>> {
    const leave = this.#server.subscribe(channel, (message) => {
      // What is lost is lost with a connection, which is made anew.
      const isLost = this.#line.loses()
      this.#after(() => (isLost ? onGap() : onMessage(message)))
    })
    this.#leave.push(leave)
    return async () => leave()
  }

  async close(): Promise<void> {
    for (const leave of this.#leave.splice(0)) leave()
  }

  #after(run: () => void): void {
    const at = Math.max(this.#last, this.#clock.now() + this.#line.delayMs())
    this.#last = at
    this.#clock.setTimeout(run, at - this.#clock.now())
  }
}
