// The parts of a world: a state is a row of their numbers. Here is how each of them changes by one thing that happens; what can
// happen is said elsewhere (`world.ts`, `network.ts`, `outsiders.ts`).

import type { ClientOptions } from '../../src/session/clientSession.ts'
import { backlogDefaults } from '../../src/session/limits.ts'
import type { TableOptions } from '../../src/session/serverTable.ts'
import type { SessionWrite } from '../../src/session/store.ts'
import type { WriterState } from '../../src/session/storeWriter.ts'
import { type ClientEvent, ClientProcesses } from './clientProcess.ts'
import { CHANGE, type Connection, changed, keyOf } from './connections.ts'
import { allRecorded, type Box, emptyBox, type Shelf } from './disk.ts'
import { type Effect, type Outcome, Violation } from './effects.ts'
import type { Engine } from './engine.ts'
import { copy, Interner } from './interner.ts'
import { brokenClient, brokenServer } from './invariants.ts'
import { type History, witness } from './monitor.ts'
import type { Budget, Scenario } from './scenario.ts'
import { type KeptSession, type ServerEvent, ServerProcesses } from './serverProcess.ts'
import { EXPIRES_AT, GIVE_UP_AT, PING_AT, PONG_WITHIN } from './times.ts'

/** Where each part stands in the row. */
export const CLIENT = 0
export const NODE = 2
export const BOX = 4
export const SHELF = 6
export const HISTORY = 7
export const BUDGET = 8
export const ATTEMPTS = 9
export const CONNS = 10
export const MAX_CONNS = 7
export const WIDTH = CONNS + MAX_CONNS

/** A process that has not begun. */
export const NOBODY = -1
/** A disk that nobody is ever going to read. */
export const UNREAD = -1
/** What a store makes of a write that it must refuse. */
export const REFUSED = -2

/**
 * Is told of each state that can follow: `free` ones follow by themselves, the others are faults or an app's will.
 * `violation`: why this must not have happened; empty when all is well.
 */
export type Visit = (next: Int32Array, free: boolean, label: () => string, violation: string) => void

/** Something that a process can do. */
export interface Item<Event> {
  readonly code: number
  readonly event: Event
  readonly label: string
  /** What it uses up; nothing when it happens by itself. */
  readonly spend: keyof Budget | undefined
}

/** An outcome with everything in it interned. */
interface Step {
  readonly next: number
  readonly effects: readonly Small[]
  readonly violation: string
}

interface Small {
  readonly do: Effect['do']
  readonly conn: number
  /** A frame, a close code as a number below 0, or a fact for the monitor. */
  readonly item: number
  readonly sid: string
  readonly number: number
}

export class Parts {
  readonly scenario: Scenario
  readonly clients: ClientProcesses
  readonly servers: ServerProcesses
  readonly boxes = new Interner<Box>(JSON.stringify)
  readonly shelves = new Interner<Shelf>(JSON.stringify)
  readonly histories = new Interner<History>(JSON.stringify)
  readonly budgets = new Interner<Partial<Budget>>(JSON.stringify)
  readonly conns = new Interner<Connection | undefined>((conn) => (conn ? keyOf(conn) : ''))
  readonly frames = new Interner<string>((frame) => frame)
  readonly facts = new Interner<string>((fact) => fact)
  readonly events = new Interner<string>((event) => event)
  readonly #clientSteps: Map<number, Step>[] = []
  readonly #serverSteps: Map<number, Step>[] = []
  readonly #witnessed = new Map<number, number | string>()
  readonly #changes = new Map<number, number>()
  readonly #spent = new Map<string, number>()
  readonly #named = new Map<string, number>()
  readonly #boxesAfter = new Map<number, number>()
  readonly #shelvesAfter = new Map<string, number>()
  readonly #renamed = new Map<number, number>()
  readonly #busy = new Map<number, boolean>()
  readonly #next = new Int32Array(WIDTH)

  constructor(engine: Engine, scenario: Scenario) {
    this.scenario = scenario
    const { maxQueueMessages, overflow, maxMessages } = scenario
    const peer = {
      ...backlogDefaults,
      maxQueueMessages,
      overflow,
      handlerTimeout: scenario.budget.giveUps ? GIVE_UP_AT : Infinity,
      pingInterval: scenario.budget.pings ? PING_AT : 0,
      pongTimeout: PONG_WITHIN,
    }
    const client: ClientOptions = {
      ...peer,
      durable: scenario.clientDurable,
      onSessionLost: scenario.onSessionLost,
      ttl: 0,
    }
    const table: TableOptions = {
      session: { ...peer, durable: scenario.serverDurable, pingWish: 0 },
      limits: { maxMessages, maxBytes: 4096, maxFrame: 1024 },
      ttl: EXPIRES_AT,
      maxSessions: 9,
      maxSessionsPerPrincipal: 9,
    }
    this.clients = new ClientProcesses(engine, client, scenario.throwing)
    this.servers = new ServerProcesses(engine, table, scenario.throwing)
    // The first of each stands for nothing.
    this.conns.id(undefined)
    this.frames.id('')
  }

  /** What a client's disk holds after what its process has under way. */
  boxAfter(before: number, process: number, writes: readonly SessionWrite[]): number {
    if (before === UNREAD) return UNREAD
    const key = before * 2 ** 22 + process
    let after = this.#boxesAfter.get(key)
    if (after === undefined) {
      const box = allRecorded(this.boxes.get(before), writes)
      after = box ? this.boxes.id(box) : REFUSED
      this.#boxesAfter.set(key, after)
    }
    return after
  }

  /** What the servers' store holds after what a process has under way for a session, under the epoch that it holds. */
  shelfAfter(before: number, process: number, sid: string, node: number): number {
    if (before === UNREAD) return UNREAD
    const key = `${before} ${process} ${sid} ${node}`
    let after = this.#shelvesAfter.get(key)
    if (after === undefined) {
      const { writer } = this.servers.all.get(process).table.sessions.get(sid) as KeptSession
      const { underWay, held } = writer as WriterState
      const { [sid]: box = emptyBox(), ...others } = this.shelves.get(before)
      const { fence } = this.scenario
      const isOwner = fence !== 'kept' || box.owner === node
      const begins = underWay.some(({ kind }) => kind === 'begin')
      const fits = begins || (box.session !== undefined && box.session.epoch <= held && isOwner)
      const made = fits ? allRecorded(box, underWay) : undefined
      const left =
        made && fence !== 'none'
          ? { ...made, owner: begins ? node : box.owner, ...(box.free && { free: true }) }
          : made
      after = left ? this.shelves.id(left.session ? { ...others, [sid]: left } : others) : REFUSED
      this.#shelvesAfter.set(key, after)
    }
    return after
  }

  /** Connections are called by their age, the oldest 1: which names were free before makes no difference between states. */
  tell(visit: Visit, next: Int32Array, free: boolean, label: () => string, violation: string): void {
    for (let slot = MAX_CONNS - 2; slot >= 0; slot -= 1) {
      if (next[CONNS + slot] !== 0 || next[CONNS + slot + 1] === 0) continue
      next.copyWithin(CONNS + slot, CONNS + slot + 1)
      next[WIDTH - 1] = 0
      for (let node = NODE; node < NODE + 2; node += 1)
        if (next[node] !== NOBODY) next[node] = this.#withoutConn(next[node] as number, slot + 1)
    }
    visit(next, free, label, violation)
  }

  #withoutConn(process: number, conn: number): number {
    const key = process * 16 + conn
    let after = this.#renamed.get(key)
    if (after === undefined) {
      after = this.servers.withoutConn(process, conn)
      this.#renamed.set(key, after)
    }
    return after
  }

  begin(row: Int32Array): Int32Array {
    this.#next.set(row)
    return this.#next
  }

  left(row: Int32Array, name: keyof Budget): number {
    return this.budgets.get(row[BUDGET] as number)[name] ?? 0
  }

  spend(next: Int32Array, name: keyof Budget): boolean {
    const budget = next[BUDGET] as number
    const key = `${budget} ${name}`
    let after = this.#spent.get(key)
    if (after === undefined) {
      const before = this.budgets.get(budget)
      const left = before[name] ?? 0
      after = left === 0 ? -1 : this.budgets.id({ ...before, [name]: left - 1 })
      this.#spent.set(key, after)
    }
    if (after < 0) return false
    next[BUDGET] = after
    next[ATTEMPTS] = 0
    return true
  }

  /** What nobody is going to read any more makes no difference between states. */
  forgetDisks(row: Int32Array): void {
    const {
      deaths = 0,
      clientDeaths = 0,
      serverDeaths = 0,
      copies = 0,
    } = this.budgets.get(row[BUDGET] as number)
    if (deaths + clientDeaths + copies === 0) row[BOX] = row[BOX + 1] = UNREAD
    if (deaths + serverDeaths === 0 && !this.looksUp) row[SHELF] = UNREAD
  }

  /** Whether the server's store may refuse a write: another node owns the session, or it ended while it was looked up. */
  get isShared(): boolean {
    return this.scenario.nodes === 2 || this.scenario.lookUp
  }

  /** Whether a session can be looked for that is not in memory: it has ended, is elsewhere, or is not taken up at start. */
  get looksUp(): boolean {
    const {
      expiries = 0,
      ends = 0,
      closes = 0,
      disposals = 0,
      strangers = 0,
      copies = 0,
    } = this.scenario.budget
    return this.isShared || expiries + ends + closes + disposals + strangers + copies > 0
  }

  /** With a fence: whoever has read a session owns it. */
  claim(next: Int32Array, sid: string, node: number): void {
    if (this.scenario.fence === 'none' || next[SHELF] === UNREAD) return
    const { [sid]: box, ...others } = this.shelves.get(next[SHELF] as number)
    if (!box) return
    next[SHELF] = this.shelves.id({
      ...others,
      [sid]: { session: box.session, waiting: box.waiting, owner: node },
    })
  }

  /** The lease of a node has run out. */
  free(next: Int32Array, node: number): void {
    if (next[SHELF] === UNREAD) return
    const shelf = Object.entries(this.shelves.get(next[SHELF] as number)).map(([sid, box]) => [
      sid,
      box.owner === node ? { ...box, free: true } : box,
    ])
    next[SHELF] = this.shelves.id(Object.fromEntries(shelf))
  }

  boxOf(row: Int32Array, who: number): Box {
    const box = row[BOX + who] as number
    return box === UNREAD ? emptyBox() : this.boxes.get(box)
  }

  shelfOf(row: Int32Array): Shelf {
    const shelf = row[SHELF] as number
    return shelf === UNREAD ? {} : this.shelves.get(shelf)
  }

  slotOf(row: Int32Array, who: number): number {
    for (let slot = 0; slot < MAX_CONNS; slot += 1) {
      const conn = this.conns.get(row[CONNS + slot] as number)
      if (conn?.client === who && conn.clientOpen) return slot
    }
    return -1
  }

  isBusy(row: Int32Array, node: number, conn: number): boolean {
    const process = row[NODE + node] as number
    const key = process * 16 + conn
    let busy = this.#busy.get(key)
    if (busy === undefined) {
      busy = this.servers.busy(process, conn)
      this.#busy.set(key, busy)
    }
    return busy
  }

  change(next: Int32Array, slot: number, change: number, item: number): void {
    const before = next[CONNS + slot] as number
    const key = (before * 8 + change) * 131072 + item + 65536
    let after = this.#changes.get(key)
    if (after === undefined) {
      after = this.conns.id(changed(this.conns.get(before) as Connection, change, item))
      this.#changes.set(key, after)
    }
    next[CONNS + slot] = after
  }

  clientStep(next: Int32Array, who: number, code: number, event: () => ClientEvent): string {
    const from = next[CLIENT + who] as number
    const steps = this.#clientSteps[from] ?? new Map<number, Step>()
    this.#clientSteps[from] = steps
    let step = steps.get(code)
    if (step === undefined) {
      const outcome = this.clients.step(from, event())
      const broken = outcome.violation || brokenClient(this.clients.all.get(outcome.next), this.scenario)
      step = this.#small(outcome, broken)
      steps.set(code, step)
    }
    next[CLIENT + who] = step.next
    return step.violation || this.#carryOut(next, step.effects, `client${who}`, who, NOBODY)
  }

  serverStep(next: Int32Array, node: number, code: number, event: () => ServerEvent): string {
    const from = next[NODE + node] as number
    const steps = this.#serverSteps[from] ?? new Map<number, Step>()
    this.#serverSteps[from] = steps
    let step = steps.get(code)
    if (step === undefined) {
      const outcome = this.servers.step(from, event())
      const broken = outcome.violation || brokenServer(this.servers.all.get(outcome.next), this.scenario)
      step = this.#small(outcome, broken)
      steps.set(code, step)
    }
    next[NODE + node] = step.next
    return step.violation || this.#carryOut(next, step.effects, `node${node}`, NOBODY, node)
  }

  #small(outcome: Outcome, violation: string): Step {
    const effects = outcome.effects.map((effect) => this.#smallEffect(effect))
    return { next: outcome.next, effects, violation }
  }

  #smallEffect(effect: Effect): Small {
    const none = { do: effect.do, conn: 0, item: 0, sid: '', number: 0 }
    switch (effect.do) {
      case 'send':
        return { ...none, conn: effect.conn, item: this.frames.id(effect.frame) }
      case 'hangUp':
        return { ...none, conn: effect.conn, item: -effect.code }
      case 'note':
        return { ...none, item: this.facts.id(effect.note) }
      case 'start': {
        const { sid, number, message, flagged } = effect
        // The process that it begins in is written in when it is known.
        const item = this.facts.id(`start ${message} ${sid} ${number} BY ${flagged ? 'flagged' : 'new'}`)
        return { ...none, item, sid, number }
      }
    }
  }

  #carryOut(next: Int32Array, effects: readonly Small[], by: string, who: number, node: number): string {
    for (const effect of effects) {
      const { conn, item, sid, number } = effect
      switch (effect.do) {
        case 'send': {
          const slot = node === NOBODY ? this.slotOf(next, who) : conn - 1
          if (slot < 0) return `${by} sends ${this.frames.get(item)} without a connection`
          const connection = this.conns.get(next[CONNS + slot] as number)
          if (node !== NOBODY && !(connection?.serverOpen && connection.node === node))
            return `${by} sends ${this.frames.get(item)} on a connection that is over`
          if (connection?.client === NOBODY) return `a stranger is told ${this.frames.get(item)}`
          this.change(next, slot, node === NOBODY ? CHANGE.up : CHANGE.down, item)
          break
        }
        case 'hangUp': {
          const slot = node === NOBODY ? this.slotOf(next, who) : conn - 1
          if (slot < 0) break
          if (node !== NOBODY && !this.conns.get(next[CONNS + slot] as number)?.serverOpen)
            return `${by} hangs up connection ${conn}, which is over`
          // 1006 is no word: the line is dropped.
          const said = item === -1006 ? 0 : item
          this.change(next, slot, node === NOBODY ? CHANGE.clientEnds : CHANGE.serverEnds, said)
          if (this.conns.get(next[CONNS + slot] as number)?.client === NOBODY) next[CONNS + slot] = 0
          break
        }
        case 'start': {
          const box = node === NOBODY ? this.boxOf(next, who) : this.shelfOf(next)[sid]
          if (box?.session?.sid === sid && box.session.rx >= number)
            return `message ${number} of ${sid} is handled again although that it was had been recorded`
          const violation = this.witness(next, this.#by(item, by))
          if (violation) return violation
          break
        }
        case 'note': {
          const violation = this.#note(next, this.#by(item, by))
          if (violation) return violation
        }
      }
    }
    return ''
  }

  /** A fact in which it is written which process it is about. */
  #by(item: number, by: string): number {
    const key = `${item} ${by}`
    let fact = this.#named.get(key)
    if (fact === undefined) {
      fact = this.facts.id(this.facts.get(item).replace('BY', by))
      this.#named.set(key, fact)
    }
    return fact
  }

  #note(next: Int32Array, item: number): string {
    const fact = this.facts.get(item)
    if (fact.startsWith('protocol error')) return fact
    if (fact.startsWith('lost ')) {
      const { mayLose } = this.scenario
      return mayLose.some((reason) => fact === `lost ${reason}`) ? '' : `a session is lost: ${fact.slice(5)}`
    }
    return this.witness(next, item)
  }

  witness(next: Int32Array, item: number): string {
    const before = next[HISTORY] as number
    const key = before * 65536 + item
    let after = this.#witnessed.get(key)
    if (after === undefined) {
      const history = copy(this.histories.get(before))
      try {
        witness(history, this.facts.get(item), (this.scenario.budget.copies ?? 0) > 0)
        after = this.histories.id(history)
      } catch (error) {
        if (!(error instanceof Violation)) throw error
        after = error.message
      }
      this.#witnessed.set(key, after)
    }
    if (typeof after === 'string') return after
    next[HISTORY] = after
    return ''
  }
}

/** What is recorded as `rx` of each session. */
export function rxOf(shelf: Shelf): Record<string, number> {
  return Object.fromEntries(Object.entries(shelf).map(([sid, { session }]) => [sid, session?.rx ?? 0]))
}
