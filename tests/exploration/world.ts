// All that can happen next in a world of client processes, server processes, connections between them and stores: every
// step of the machines that ship, every fault, in every order. A state is a row of numbers, one for each part of the world
// that changes by itself (a process with all it holds, a disk, a connection, what the apps saw, what is left of the budget).
//
// What is left out because it changes nothing that can be seen:
// - A process that dies starts again in the same step. While it is dead it does nothing, nobody else touches its disk, and no
//   connection to it comes about; so whatever happens meanwhile could as well happen after its start.
// - Nothing lies between the recording of a write and the step that is told of it. A death in between differs from one right
//   after that step only by the frames which that step sends, and these can be lost with their connection anyway.
// - A new connection and the client's first frame on it are one step: the server has nothing to say before it.

import type { ClientOptions } from '../../src/session/clientSession.ts'
import { waitingDefaults } from '../../src/session/limits.ts'
import type { TableOptions } from '../../src/session/serverTable.ts'
import type { Write } from '../../src/session/store.ts'
import { type ClientEvent, ClientProcesses } from './clientProcess.ts'
import { CHANGE, type Connection, changed, keyOf } from './connections.ts'
import { type Box, emptyBox, recorded, type Shelf } from './disk.ts'
import type { Effect, Outcome } from './effects.ts'
import { Violation } from './effects.ts'
import type { Engine } from './engine.ts'
import { copy, Interner } from './interner.ts'
import { brokenClient, brokenServer } from './invariants.ts'
import { type History, unanswered, witness } from './monitor.ts'
import type { Budget, Scenario } from './scenario.ts'
import { type ServerEvent, ServerProcesses, type ServerWrite } from './serverProcess.ts'
import { EXPIRES_AT, GIVE_UP_AT, PING_AT, PONG_WITHIN } from './times.ts'

/** Writes whose being recorded makes no machine do anything. */
const QUIET: ReadonlySet<Write['kind']> = new Set(['accept', 'drop', 'void', 'prune', 'end'])

/** Where each part stands in the row. */
const CLIENT = 0
const NODE = 2
const BOX = 4
const SHELF = 6
const HISTORY = 7
const BUDGET = 8
const ATTEMPTS = 9
const CONNS = 10
const MAX_CONNS = 7
export const WIDTH = CONNS + MAX_CONNS

/** A process that has not begun. */
const NOBODY = -1
/** A disk that nobody is ever going to read. */
const UNREAD = -1
/** What a store makes of a write that it must refuse. */
const REFUSED = -2

/**
 * Is told of each state that can follow: `free` ones follow by themselves, the others are faults or an app's will.
 * `violation`: why this must not have happened; empty when all is well.
 */
export type Visit = (next: Int32Array, free: boolean, label: () => string, violation: string) => void

/** Something that a process can do. */
interface Item<Event> {
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

export class World {
  readonly #scenario: Scenario
  readonly #clients: ClientProcesses
  readonly #servers: ServerProcesses
  readonly #boxes = new Interner<Box>(JSON.stringify)
  readonly #shelves = new Interner<Shelf>(JSON.stringify)
  readonly #histories = new Interner<History>(JSON.stringify)
  readonly #budgets = new Interner<Partial<Budget>>(JSON.stringify)
  readonly #conns = new Interner<Connection | undefined>((conn) => (conn ? keyOf(conn) : ''))
  readonly #frames = new Interner<string>((frame) => frame)
  readonly #facts = new Interner<string>((fact) => fact)
  readonly #events = new Interner<string>((event) => event)
  readonly #clientSteps: Map<number, Step>[] = []
  readonly #serverSteps: Map<number, Step>[] = []
  readonly #witnessed = new Map<number, number | string>()
  readonly #changes = new Map<number, number>()
  readonly #spent = new Map<string, number>()
  readonly #named = new Map<string, number>()
  /** What a disk holds after a write, by what it held and the process that writes. */
  readonly #boxesAfter = new Map<number, number>()
  readonly #shelvesAfter = new Map<number, number>()
  readonly #renamed = new Map<number, number>()
  readonly #busy = new Map<number, boolean>()
  readonly #clientMenus: Item<ClientEvent>[][] = []
  readonly #serverMenus: Item<ServerEvent>[][] = []
  readonly #mentions = new Map<number, readonly string[]>()
  readonly #next = new Int32Array(WIDTH)

  constructor(engine: Engine, scenario: Scenario) {
    this.#scenario = scenario
    const { maxQueueMessages, overflow, maxMessages } = scenario
    const peer = {
      ...waitingDefaults,
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
    this.#clients = new ClientProcesses(engine, client)
    this.#servers = new ServerProcesses(engine, table)
    // The first of each stands for nothing.
    this.#conns.id(undefined)
    this.#frames.id('')
  }

  initial(): Int32Array {
    const row = new Int32Array(WIDTH)
    const { clients, nodes, budget } = this.#scenario
    row[CLIENT] = this.#clients.fresh()
    row[CLIENT + 1] = clients === 2 ? this.#clients.fresh() : NOBODY
    row[NODE] = this.#servers.fresh()
    // Names of sessions are never made twice, on no node.
    row[NODE + 1] = nodes === 2 ? this.#servers.fresh(4) : NOBODY
    row[BOX] = this.#boxes.id(emptyBox())
    row[BOX + 1] = this.#boxes.id(emptyBox())
    row[SHELF] = this.#shelves.id({})
    row[HISTORY] = this.#histories.id({})
    row[BUDGET] = this.#budgets.id(budget)
    this.#forgetDisks(row)
    return row
  }

  /** How many different parts there are. */
  get sizes(): Record<string, number> {
    return {
      clients: this.#clients.all.size,
      servers: this.#servers.all.size,
      connections: this.#conns.size,
      histories: this.#histories.size,
      frames: this.#frames.size,
    }
  }

  /** Tells of each state that can follow `row`. */
  successors(row: Int32Array, visit: Visit): void {
    if (this.#forced(row, visit)) return
    for (let who = 0; who < 2; who += 1) if (row[CLIENT + who] !== NOBODY) this.#ofClient(row, who, visit)
    for (let node = 0; node < 2; node += 1) if (row[NODE + node] !== NOBODY) this.#ofNode(row, node, visit)
    for (let slot = 0; slot < MAX_CONNS; slot += 1)
      if (row[CONNS + slot] !== 0) this.#ofConnection(row, slot, visit)
    this.#ofOthers(row, visit)
  }

  /** What is wrong with a state in which nothing happens by itself any more; empty when all is well. */
  unfinished(row: Int32Array): string {
    for (let who = 0; who < 2; who += 1) {
      if (row[CLIENT + who] === NOBODY) continue
      const { state, names, stopped } = this.#clients.all.get(row[CLIENT + who] as number)
      if (stopped === '' && state.phase !== 'up') return `client ${who} is ${state.phase}, and stays so`
      if (names.length > 0) return `client ${who} is never told what became of ${names[0]?.[1]}`
    }
    for (let node = 0; node < 2; node += 1) {
      if (row[NODE + node] === NOBODY) continue
      const { names } = this.#servers.all.get(row[NODE + node] as number)
      if (names.length > 0) return `node ${node} is never told what became of ${names[0]?.[2]}`
    }
    return unanswered(this.#histories.get(row[HISTORY] as number))
  }

  /**
   * Steps that are taken before all others (an ample set of one): they commute with everything else that can happen, nobody
   * sees them, and they cannot follow each other for ever. So what comes after them covers what could have come before.
   * - A write that is told to nobody, on a disk that nobody is ever going to read.
   * - The end of a session that nobody can resume any more.
   * - A server forgets a connection on which nothing ever came, and nothing can.
   */
  #forced(row: Int32Array, visit: Visit): boolean {
    for (let who = 0; who < 2; who += 1) {
      if (row[CLIENT + who] === NOBODY || row[BOX + who] !== UNREAD) continue
      const [write] = this.#clients.all.get(row[CLIENT + who] as number).queue
      if (write && QUIET.has(write.kind)) {
        this.#recordClient(row, who, write, visit)
        return true
      }
    }
    for (let node = 0; node < 2; node += 1) {
      if (row[NODE + node] === NOBODY) continue
      const { queue, table } = this.#servers.all.get(row[NODE + node] as number)
      if (row[SHELF] === UNREAD)
        for (let index = 0; index < queue.length; index += 1) {
          const { sid, write } = queue[index] as ServerWrite
          if (index > 0 && queue[index - 1]?.sid === sid) continue
          if (!QUIET.has(write.kind) && table.sessions.has(sid)) continue
          this.#record(row, node, index, visit)
          return true
        }
      for (const [sid, { phase }] of table.sessions) {
        if (phase !== 'detached' || !this.#isAbandoned(row, sid)) continue
        const code = this.#events.id(`expire ${sid}`)
        const event: ServerEvent = { do: 'expire', sid }
        this.#nodeDoes(row, node, { code, event, label: `lets ${sid} expire`, spend: undefined }, visit)
        return true
      }
    }
    for (let slot = 0; slot < MAX_CONNS; slot += 1) {
      const conn = this.#conns.get(row[CONNS + slot] as number)
      if (!conn?.serverOpen || conn.clientOpen || conn.up.length > 0) continue
      const { table } = this.#servers.all.get(row[NODE + conn.node] as number)
      if (table.connections.get(slot + 1)?.phase !== 'fresh') continue
      this.#serverNotices(row, slot, true, 0, visit)
      return true
    }
    return false
  }

  // What processes do by themselves, and what their apps want.

  #ofClient(row: Int32Array, who: number, visit: Visit): void {
    const id = row[CLIENT + who] as number
    const { queue, stopped } = this.#clients.all.get(id)
    const [write] = queue
    if (write) this.#recordClient(row, who, write, visit)
    let menu = this.#clientMenus[id]
    if (menu === undefined) {
      menu = this.#clientMenu(id)
      this.#clientMenus[id] = menu
    }
    for (const item of menu) this.#clientDoes(row, who, item, visit)
    if (stopped !== '') return
    if (this.#slotOf(row, who) < 0 && !this.#isRefusing(row, who))
      for (let node = 0; node < 2; node += 1)
        if (row[NODE + node] !== NOBODY) this.#connect(row, who, node, visit)
    const sends: keyof Budget = who === 0 ? 'sends' : 'sends2'
    const left = this.#left(row, sends)
    if (left > 0) {
      const place = (this.#scenario.budget[sends] ?? 0) - left + 1
      const message = `${who === 0 ? 'c' : 'd'}${place}`
      const bytes = this.#scenario.tooLarge.includes(place) ? 9 : message.length
      const event: ClientEvent = {
        do: 'send',
        message,
        bytes,
        expires: this.#scenario.expiring.includes(place),
      }
      const code = this.#events.id(`send ${message}`)
      this.#clientDoes(row, who, { code, event, label: `sends ${message}`, spend: sends }, visit)
    }
    if (this.#left(row, 'clientDeaths') > 0) this.#clientDies(row, who, 'clientDeaths', visit)
    if (this.#left(row, 'deaths') > 0) this.#clientDies(row, who, 'deaths', visit)
  }

  #clientDoes(row: Int32Array, who: number, item: Item<ClientEvent>, visit: Visit): void {
    const { event, label, spend, code } = item
    if (spend && this.#left(row, spend) === 0) return
    const next = this.#begin(row)
    if (spend) this.#spend(next, spend)
    const violation = this.#clientStep(next, who, code, () => event)
    this.#tell(visit, next, spend === undefined, () => `client ${who} ${label}`, violation)
  }

  /** What a client can do whatever the rest of the world is like. */
  #clientMenu(id: number): Item<ClientEvent>[] {
    const { state, running, failed, stopped } = this.#clients.all.get(id)
    const { peer } = state
    const menu: Item<ClientEvent>[] = []
    const add = (event: ClientEvent, code: string, label: string, spend?: keyof Budget) => {
      if (spend === undefined || this.#scenario.budget[spend])
        menu.push({ code: this.#events.id(code), event, label, spend })
    }
    running.forEach(({ message }, index) => {
      add({ do: 'settle', index }, `settle ${index}`, `has handled ${message}`)
    })
    if (stopped !== '') return menu
    if (!failed) add({ do: 'storeFails' }, 'storeFails', 'finds its store broken', 'storeFailures')
    if (peer.inbox.tellAt !== -1 && peer.link !== 'down') add({ do: 'ackIsDue' }, 'ack', 'finds its ack due')
    if (state.leaveAt !== -1 && state.phase !== 'down')
      add({ do: 'leave' }, 'leave', 'leaves as it was asked to')
    if (peer.heartbeat?.pingedAt === -1) add({ do: 'ping' }, 'ping', 'asks for a sign of life', 'pings')
    else if (peer.heartbeat) add({ do: 'silence' }, 'silence', 'hears nothing for too long', 'cuts')
    if (peer.inbox.settled < peer.inbox.taken)
      add({ do: 'giveUp' }, 'giveUp', 'gives up the handlers that run', 'giveUps')
    if (peer.waiting.expiresAt !== -1)
      add({ do: 'ttlIsOver' }, 'ttl', 'drops what has waited too long', 'ttls')
    for (const { payload } of peer.waiting.entries) {
      const message = String(payload)
      add({ do: 'cancel', message }, `cancel ${message}`, `takes ${message} back`, 'cancels')
    }
    if (state.phase !== 'closing') add({ do: 'close' }, 'close', 'is closed by its app', 'closes')
    add({ do: 'dispose' }, 'dispose', 'is disposed of', 'disposals')
    return menu
  }

  #recordClient(row: Int32Array, who: number, write: Write, visit: Visit): void {
    const next = this.#begin(row)
    const before = row[BOX + who] as number
    const key = before * 2 ** 22 + (row[CLIENT + who] as number)
    let after = before === UNREAD ? UNREAD : this.#boxesAfter.get(key)
    if (after === undefined) {
      after = this.#boxAfter(before, write)
      this.#boxesAfter.set(key, after)
    }
    next[BOX + who] = after
    const violation =
      after === REFUSED
        ? `the client's store is asked for what it must refuse: ${JSON.stringify(write)}`
        : this.#clientStep(next, who, this.#events.id('stored'), () => ({ do: 'stored' }))
    this.#tell(
      visit,
      next,
      true,
      () => `the store of client ${who} has recorded ${JSON.stringify(write)}`,
      violation,
    )
  }

  #boxAfter(before: number, write: Write): number {
    const box = recorded(this.#boxes.get(before), write)
    return box ? this.#boxes.id(box) : REFUSED
  }

  #connect(row: Int32Array, who: number, node: number, visit: Visit): void {
    const next = this.#begin(row)
    let slot = 0
    while (slot < MAX_CONNS && next[CONNS + slot] !== 0) slot += 1
    if (slot === MAX_CONNS) throw new Error('the scenario needs more connections at once')
    next[CONNS + slot] = this.#conns.id({
      client: who,
      node,
      clientOpen: true,
      serverOpen: true,
      up: [],
      down: [],
    })
    next[ATTEMPTS] = (next[ATTEMPTS] as number) + 1
    const principal = this.#scenario.asks ? undefined : 'someone'
    const conn = slot + 1
    const violation =
      this.#serverStep(next, node, this.#events.id(`arrived ${conn}`), () => ({
        do: 'arrived',
        conn,
        principal,
      })) ||
      this.#clientStep(next, who, this.#events.id('connected'), () => ({
        do: 'connected',
        auth: this.#scenario.asks ? 'someone' : '',
      })) ||
      ((next[ATTEMPTS] as number) > this.#scenario.attempts ? 'the client reconnects endlessly' : '')
    this.#tell(
      visit,
      next,
      true,
      () => `client ${who} connects to node ${node}: connection ${conn}`,
      violation,
    )
  }

  #clientDies(row: Int32Array, who: number, budget: keyof Budget, visit: Visit): void {
    const next = this.#begin(row)
    if (!this.#spend(next, budget)) return
    const slot = this.#slotOf(next, who)
    if (slot >= 0) this.#change(next, slot, CHANGE.clientEnds, 0)
    const { clientDurable } = this.#scenario
    const boxId = row[BOX + who] as number
    const box = clientDurable ? this.#boxes.get(boxId) : emptyBox()
    const rx = box.session ? { [box.session.sid]: box.session.rx } : {}
    const owns = clientDurable ? '' : who === 0 ? 'c' : 'd'
    const violation =
      this.#witness(next, this.#facts.id(`died client${who} ${JSON.stringify(rx)} ${owns}`)) ||
      this.#clientStep(next, who, this.#events.id(`restart ${clientDurable ? boxId : -1}`), () => ({
        do: 'restart',
        box,
      }))
    this.#forgetDisks(next)
    this.#tell(visit, next, false, () => `client ${who} dies, and starts again`, violation)
  }

  #ofNode(row: Int32Array, node: number, visit: Visit): void {
    const id = row[NODE + node] as number
    const { queue, table, lookUps } = this.#servers.all.get(id)
    let menu = this.#serverMenus[id]
    if (menu === undefined) {
      menu = this.#serverMenu(id)
      this.#serverMenus[id] = menu
    }
    for (const item of menu) this.#nodeDoes(row, node, item, visit)
    for (let index = 0; index < queue.length; index += 1)
      if (index === 0 || queue[index - 1]?.sid !== queue[index]?.sid) this.#record(row, node, index, visit)
    lookUps.forEach(({ sid, read }, index) => {
      // It is read after all that this process had written of it.
      if (read || this.#isHeldElsewhere(row, node, sid) || queue.some((one) => one.sid === sid)) return
      const box = this.#shelfOf(row)[sid]
      const code = this.#events.id(`read ${index} ${box ? this.#boxes.id(box) : -1}`)
      const event: ServerEvent = { do: 'read', index, box }
      this.#nodeDoes(
        row,
        node,
        { code, event, label: `has ${sid} read from the store`, spend: undefined },
        visit,
      )
    })
    const left = this.#left(row, 'pushes')
    // The server's app sends in the session that began last.
    const [sid] = left > 0 ? [...table.sessions.keys()].sort().slice(-1) : []
    if (sid !== undefined) {
      const place = (this.#scenario.budget.pushes ?? 0) - left + 1
      const message = `s${place}`
      const bytes = this.#scenario.tooLargeDown.includes(place) ? 9 : message.length
      const event: ServerEvent = { do: 'send', sid, message, bytes }
      const code = this.#events.id(`send ${message} ${sid}`)
      this.#nodeDoes(row, node, { code, event, label: `sends ${message} in ${sid}`, spend: 'pushes' }, visit)
    }
    if (this.#scenario.lookUp || this.#scenario.nodes === 2) this.#takeUp(row, node, visit)
    if (this.#left(row, 'serverDeaths') > 0) this.#nodeDies(row, node, 'serverDeaths', visit)
    if (this.#left(row, 'deaths') > 0) this.#nodeDies(row, node, 'deaths', visit)
  }

  /** Sessions that nobody asks for any more are taken up in the end, so that they expire. */
  #takeUp(row: Int32Array, node: number, visit: Visit): void {
    for (const [sid, box] of Object.entries(this.#shelfOf(row))) {
      const isKnown = [0, 1].some((one) => {
        if (row[NODE + one] === NOBODY) return false
        const { table, queue } = this.#servers.all.get(row[NODE + one] as number)
        return table.sessions.has(sid) || queue.some((write) => write.sid === sid)
      })
      if (isKnown || !this.#isAbandoned(row, sid)) continue
      const code = this.#events.id(`takeUp ${sid} ${this.#boxes.id(box)}`)
      this.#nodeDoes(
        row,
        node,
        { code, event: { do: 'takeUp', box }, label: `takes ${sid} up`, spend: undefined },
        visit,
      )
    }
  }

  #nodeDoes(row: Int32Array, node: number, item: Item<ServerEvent>, visit: Visit): void {
    const { event, label, spend, code } = item
    if (spend && this.#left(row, spend) === 0) return
    const next = this.#begin(row)
    if (spend) this.#spend(next, spend)
    const violation = this.#serverStep(next, node, code, () => event)
    this.#tell(visit, next, spend === undefined, () => `node ${node} ${label}`, violation)
  }

  /** What a server can do whatever the rest of the world is like. */
  #serverMenu(id: number): Item<ServerEvent>[] {
    const { running, table, lookUps, checks } = this.#servers.all.get(id)
    const menu: Item<ServerEvent>[] = []
    const add = (event: ServerEvent, code: string, label: string, spend?: keyof Budget) => {
      if (spend === undefined || this.#scenario.budget[spend])
        menu.push({ code: this.#events.id(code), event, label, spend })
    }
    running.forEach(({ message }, index) => {
      add({ do: 'settle', index }, `settle ${index}`, `has handled ${message}`)
    })
    lookUps.forEach(({ read, conn }, index) => {
      if (read)
        add({ do: 'found', index }, `found ${index}`, `has looked up the session for connection ${conn}`)
    })
    checks.forEach(({ conn }, index) => {
      add({ do: 'checked', index }, `checked ${index}`, `hears whose connection ${conn} is`)
      add(
        { do: 'refused', index },
        `refused ${index}`,
        `hears that connection ${conn} is nobody's`,
        'refusals',
      )
    })
    if ([...table.connections.values()].some(({ phase }) => phase === 'fresh'))
      add({ do: 'firstFrameIsLate' }, 'late', 'closes those who have said nothing', 'lateFirsts')
    for (const [sid, { peer, phase }] of table.sessions) {
      if (peer.inbox.tellAt !== -1 && peer.link !== 'down')
        add({ do: 'ackIsDue', sid }, `ack ${sid}`, `finds its ack due in ${sid}`)
      if (peer.heartbeat?.pingedAt === -1)
        add({ do: 'ping', sid }, `ping ${sid}`, `asks for a sign of life in ${sid}`, 'pings')
      else if (peer.heartbeat)
        add({ do: 'silence', sid }, `silence ${sid}`, `hears nothing for too long in ${sid}`, 'cuts')
      if (peer.inbox.settled < peer.inbox.taken)
        add({ do: 'giveUp', sid }, `giveUp ${sid}`, `gives up the handlers of ${sid}`, 'giveUps')
      if (phase === 'detached') add({ do: 'expire', sid }, `expire ${sid}`, `lets ${sid} expire`, 'expiries')
      if (phase === 'up') add({ do: 'goAway', sid }, `goAway ${sid}`, `asks ${sid} to leave`, 'goAways')
      add({ do: 'end', sid }, `end ${sid}`, `ends ${sid}`, 'ends')
    }
    return menu
  }

  #record(row: Int32Array, node: number, index: number, visit: Visit): void {
    const { queue } = this.#servers.all.get(row[NODE + node] as number)
    const { sid, epoch, write } = queue[index] as (typeof queue)[0]
    const next = this.#begin(row)
    const before = row[SHELF] as number
    const key = (before * 2 ** 22 + (row[NODE + node] as number)) * 16 + index
    let shelf = before === UNREAD ? UNREAD : this.#shelvesAfter.get(key)
    if (shelf === undefined) {
      shelf = this.#shelfAfter(before, sid, epoch, write)
      this.#shelvesAfter.set(key, shelf)
    }
    const after = shelf !== REFUSED
    if (after) next[SHELF] = shelf
    const outcome = after ? 'stored' : 'stale'
    const violation = this.#serverStep(next, node, this.#events.id(`${outcome} ${index}`), () => ({
      do: outcome,
      index,
    }))
    this.#tell(
      visit,
      next,
      true,
      () => `the store of node ${node} ${after ? 'has recorded' : 'refuses'} ${JSON.stringify(write)}`,
      violation || (after || this.#isShared ? '' : 'a write of the only owner is refused'),
    )
  }

  /** The store after a write by a process that holds `epoch`. */
  #shelfAfter(before: number, sid: string, epoch: number, write: Write): number {
    const { [sid]: box = emptyBox(), ...others } = this.#shelves.get(before)
    const fits = write.kind === 'begin' || (box.session !== undefined && box.session.epoch <= epoch)
    const after = fits ? recorded(box, write) : undefined
    if (!after) return REFUSED
    return this.#shelves.id(after.session ? { ...others, [sid]: after } : others)
  }

  #nodeDies(row: Int32Array, node: number, budget: keyof Budget, visit: Visit): void {
    const next = this.#begin(row)
    if (!this.#spend(next, budget)) return
    for (let slot = 0; slot < MAX_CONNS; slot += 1) {
      const conn = this.#conns.get(next[CONNS + slot] as number)
      if (conn?.node === node && conn.serverOpen) this.#change(next, slot, CHANGE.serverEnds, 0)
    }
    const { serverDurable, lookUp, nodes } = this.#scenario
    const shelfId = row[SHELF] as number
    const shelf = serverDurable ? this.#shelves.get(shelfId) : {}
    const rx = rxOf(shelf)
    // What it finds at its start: with several nodes, or when asked to, nothing until somebody comes for it.
    const found = lookUp || nodes === 2 ? {} : shelf
    const owns = serverDurable ? '' : 's'
    const violation =
      this.#witness(next, this.#facts.id(`died node${node} ${JSON.stringify(rx)} ${owns}`)) ||
      this.#serverStep(
        next,
        node,
        this.#events.id(`restart ${serverDurable && !lookUp ? shelfId : -1}`),
        () => ({
          do: 'restart',
          shelf: found,
        }),
      )
    this.#forgetDisks(next)
    this.#tell(visit, next, false, () => `node ${node} dies, and starts again`, violation)
  }

  // What connections do.

  #ofConnection(row: Int32Array, slot: number, visit: Visit): void {
    const connection = this.#conns.get(row[CONNS + slot] as number) as Connection
    const { up, down, clientOpen, serverOpen, node, client } = connection
    if (serverOpen) {
      const [item] = up
      if (item !== undefined && item > 0 && !this.#isBusy(row, node, slot + 1))
        this.#toServer(row, slot, item, visit)
      const said = up.length === 1 && item !== undefined && item < 0 ? item : 0
      if (!clientOpen && (said !== 0 || !up.includes(-1009)))
        this.#serverNotices(row, slot, true, said, visit)
      else if (this.#left(row, 'cuts') > 0) this.#serverNotices(row, slot, false, 0, visit)
    }
    if (clientOpen && client >= 0) {
      const [item] = down
      const last = down[down.length - 1]
      if (item !== undefined && item > 0) this.#toClient(row, slot, item, visit)
      else if (item !== undefined) this.#clientNotices(row, slot, true, -item, visit)
      if (!serverOpen && !(last !== undefined && last < 0)) this.#clientNotices(row, slot, true, 1006, visit)
      else if (this.#left(row, 'cuts') > 0) this.#clientNotices(row, slot, false, 1006, visit)
    }
  }

  #toServer(row: Int32Array, slot: number, item: number, visit: Visit): void {
    const { node } = this.#conns.get(row[CONNS + slot] as number) as Connection
    const frame = this.#frames.get(item)
    const next = this.#begin(row)
    const conn = slot + 1
    if (this.#isTooLarge(frame, 'c', this.#scenario.tooLarge)) {
      // Something on the way does not carry it, and says so to both.
      this.#change(next, slot, CHANGE.serverEnds, -1009)
      const violation = this.#serverStep(next, node, this.#events.id(`gone ${conn} 1006`), () => ({
        do: 'gone',
        conn,
        code: 1006,
      }))
      this.#tell(visit, next, true, () => `connection ${conn} ends with 1009 because of ${frame}`, violation)
      return
    }
    this.#change(next, slot, CHANGE.arriveUp, 0)
    const violation = this.#serverStep(next, node, this.#events.id(`frame ${conn} ${item}`), () => ({
      do: 'frame',
      conn,
      frame,
    }))
    this.#tell(visit, next, true, () => `node ${node} gets ${frame} on connection ${conn}`, violation)
  }

  #toClient(row: Int32Array, slot: number, item: number, visit: Visit): void {
    const { client } = this.#conns.get(row[CONNS + slot] as number) as Connection
    const frame = this.#frames.get(item)
    const next = this.#begin(row)
    const conn = slot + 1
    if (this.#isTooLarge(frame, 's', this.#scenario.tooLargeDown)) {
      // The client's socket does not take it: the server is told why, the client sees a broken line.
      this.#change(next, slot, CHANGE.clientEnds, -1009)
      const violation = this.#clientStep(next, client, this.#events.id('closed 1006'), () => ({
        do: 'closed',
        code: 1006,
      }))
      this.#tell(
        visit,
        next,
        true,
        () => `the client ends connection ${conn} with 1009 because of ${frame}`,
        violation,
      )
      return
    }
    this.#change(next, slot, CHANGE.arriveDown, 0)
    const violation = this.#clientStep(next, client, this.#events.id(`frame ${item}`), () => ({
      do: 'frame',
      frame,
    }))
    this.#tell(visit, next, true, () => `client ${client} gets ${frame} on connection ${conn}`, violation)
  }

  #isTooLarge(frame: string, sender: string, places: readonly number[]): boolean {
    return places.some((place) => frame.endsWith(`:${sender}${place}`))
  }

  #serverNotices(row: Int32Array, slot: number, free: boolean, item: number, visit: Visit): void {
    const next = this.#begin(row)
    if (!free && !this.#spend(next, 'cuts')) return
    const { node } = this.#conns.get(row[CONNS + slot] as number) as Connection
    const conn = slot + 1
    const code = item ? -item : 1006
    this.#change(next, slot, CHANGE.serverEnds, 0)
    const violation = this.#serverStep(next, node, this.#events.id(`gone ${conn} ${code}`), () => ({
      do: 'gone',
      conn,
      code,
    }))
    this.#tell(
      visit,
      next,
      free,
      () => `node ${node} notices that connection ${conn} is over (${code})`,
      violation,
    )
  }

  #clientNotices(row: Int32Array, slot: number, free: boolean, code: number, visit: Visit): void {
    const next = this.#begin(row)
    if (!free && !this.#spend(next, 'cuts')) return
    const { client } = this.#conns.get(row[CONNS + slot] as number) as Connection
    this.#change(next, slot, CHANGE.clientEnds, 0)
    const violation = this.#clientStep(next, client, this.#events.id(`closed ${code}`), () => ({
      do: 'closed',
      code,
    }))
    this.#tell(
      visit,
      next,
      free,
      () => `client ${client} notices that connection ${slot + 1} is over (${code})`,
      violation,
    )
  }

  // What strangers, second owners and other nodes do.

  #ofOthers(row: Int32Array, visit: Visit): void {
    if (this.#left(row, 'strangers') > 0) {
      const { table } = this.#servers.all.get(row[NODE] as number)
      for (const sid of table.sessions.keys()) {
        this.#stranger(row, sid, 'guessed', 'someone', visit)
        this.#stranger(row, sid, `k${sid.slice(1)}`, 'somebody else', visit)
      }
    }
    if (row[CLIENT + 1] === NOBODY && this.#left(row, 'copies') > 0 && this.#isAtRest(row)) {
      const next = this.#begin(row)
      this.#spend(next, 'copies')
      next[BOX + 1] = next[BOX] as number
      next[CLIENT + 1] = this.#clients.fresh()
      const box = this.#boxes.get(row[BOX] as number)
      const violation = this.#clientStep(next, 1, this.#events.id(`restart ${row[BOX]}`), () => ({
        do: 'restart',
        box,
      }))
      this.#forgetDisks(next)
      this.#tell(visit, next, false, () => 'a second process begins with a copy of the outbox', violation)
    }
    if (row[NODE + 1] !== NOBODY) for (let node = 0; node < 2; node += 1) this.#letGo(row, node, visit)
  }

  /** All that the client ever sends has its number, and is recorded: a copy that is taken later knows of everything. */
  #isAtRest(row: Int32Array): boolean {
    const { queue, state } = this.#clients.all.get(row[CLIENT] as number)
    return queue.length === 0 && state.peer.waiting.entries.length === 0 && this.#left(row, 'sends') === 0
  }

  #stranger(row: Int32Array, sid: string, key: string, principal: string, visit: Visit): void {
    const next = this.#begin(row)
    this.#spend(next, 'strangers')
    let slot = 0
    while (next[CONNS + slot] !== 0) slot += 1
    const conn = slot + 1
    const frame = JSON.stringify({ t: 'resume', sid, key, epoch: 99, rx: 0 })
    next[CONNS + slot] = this.#conns.id({
      client: NOBODY,
      node: 0,
      clientOpen: true,
      serverOpen: true,
      up: [this.#frames.id(frame)],
      down: [],
    })
    const violation = this.#serverStep(next, 0, this.#events.id(`arrived ${conn} ${principal}`), () => ({
      do: 'arrived',
      conn,
      principal,
    }))
    this.#tell(visit, next, false, () => `a stranger says ${frame} on connection ${conn}`, violation)
  }

  /** A node that has been asked for a session by another gives it up, once its handlers have settled and all is recorded. */
  #letGo(row: Int32Array, node: number, visit: Visit): void {
    const other = this.#servers.all.get(row[NODE + 1 - node] as number)
    const { table } = this.#servers.all.get(row[NODE + node] as number)
    for (const { sid, read } of other.lookUps) {
      if (read || !table.sessions.has(sid)) continue
      const next = this.#begin(row)
      const rx = JSON.stringify(rxOf(this.#shelfOf(row)))
      const violation =
        this.#serverStep(next, node, this.#events.id(`letGo ${sid}`), () => ({ do: 'letGo', sid })) ||
        this.#witness(next, this.#facts.id(`letGo node${node} ${rx} ${sid}`))
      this.#tell(visit, next, true, () => `node ${node} lets go of ${sid}`, violation)
    }
  }

  #isHeldElsewhere(row: Int32Array, node: number, sid: string): boolean {
    if (row[NODE + 1 - node] === NOBODY) return false
    const { table, running, lookUps } = this.#servers.all.get(row[NODE + 1 - node] as number)
    // Whoever has let go of it lets the other have it.
    const { owed } = this.#servers.all.get(row[NODE + node] as number)
    if (owed.includes(sid) && lookUps.some((one) => !one.read && one.sid === sid)) return true
    // Whoever has read it owns it.
    const isRead = lookUps.some((one) => one.read && one.sid === sid)
    return isRead || table.sessions.has(sid) || running.some((one) => one.sid === sid)
  }

  /** No client is ever going to resume the session, and no frame on its way names it. */
  #isAbandoned(row: Int32Array, sid: string): boolean {
    for (let who = 0; who < 2; who += 1) {
      if (row[CLIENT + who] === NOBODY) continue
      const { stopped, state } = this.#clients.all.get(row[CLIENT + who] as number)
      if (stopped === '' && state.peer.sid === sid) return false
    }
    for (let slot = 0; slot < MAX_CONNS; slot += 1)
      if (this.#mentionsOf(row[CONNS + slot] as number).includes(sid)) return false
    for (let node = 0; node < 2; node += 1)
      if (row[NODE + node] !== NOBODY) {
        const { lookUps, checks } = this.#servers.all.get(row[NODE + node] as number)
        if (checks.length > 0 || lookUps.some((one) => one.sid === sid)) return false
      }
    // A client that dies may find it on its disk.
    for (let who = 0; who < 2; who += 1) if (this.#boxOf(row, who).session?.sid === sid) return false
    return true
  }

  /**
   * A client that refused a message for its size has said so on the old connection before it makes the next one; that this
   * is heard first is taken for granted. Else the server could be made to send the same message again and again.
   */
  #isRefusing(row: Int32Array, who: number): boolean {
    for (let slot = 0; slot < MAX_CONNS; slot += 1) {
      const conn = this.#conns.get(row[CONNS + slot] as number)
      if (conn?.client === who && conn.up.includes(-1009)) return true
    }
    return false
  }

  /** The sessions that frames under way name. */
  #mentionsOf(id: number): readonly string[] {
    if (id === 0) return []
    let sids = this.#mentions.get(id)
    if (sids === undefined) {
      const { up, down, clientOpen } = this.#conns.get(id) as Connection
      sids = [...up, ...(clientOpen ? down : [])].flatMap(
        (item) => (item > 0 && /"sid":"(\w+)"/.exec(this.#frames.get(item))?.[1]) || [],
      )
      this.#mentions.set(id, sids)
    }
    return sids
  }

  // The parts.

  /** Connections are called by their age, the oldest 1: which names were free before makes no difference between states. */
  #tell(visit: Visit, next: Int32Array, free: boolean, label: () => string, violation: string): void {
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
      after = this.#servers.withoutConn(process, conn)
      this.#renamed.set(key, after)
    }
    return after
  }

  #begin(row: Int32Array): Int32Array {
    this.#next.set(row)
    return this.#next
  }

  #left(row: Int32Array, name: keyof Budget): number {
    return this.#budgets.get(row[BUDGET] as number)[name] ?? 0
  }

  #spend(next: Int32Array, name: keyof Budget): boolean {
    const budget = next[BUDGET] as number
    const key = `${budget} ${name}`
    let after = this.#spent.get(key)
    if (after === undefined) {
      const before = this.#budgets.get(budget)
      const left = before[name] ?? 0
      after = left === 0 ? -1 : this.#budgets.id({ ...before, [name]: left - 1 })
      this.#spent.set(key, after)
    }
    if (after < 0) return false
    next[BUDGET] = after
    next[ATTEMPTS] = 0
    return true
  }

  /** What nobody is going to read any more makes no difference between states. */
  #forgetDisks(row: Int32Array): void {
    const {
      deaths = 0,
      clientDeaths = 0,
      serverDeaths = 0,
      copies = 0,
    } = this.#budgets.get(row[BUDGET] as number)
    if (deaths + clientDeaths + copies === 0) row[BOX] = row[BOX + 1] = UNREAD
    if (deaths + serverDeaths === 0 && !this.#looksUp) row[SHELF] = UNREAD
  }

  /** Whether the server's store may refuse a write: another node owns the session, or it ended while it was looked up. */
  get #isShared(): boolean {
    return this.#scenario.nodes === 2 || this.#scenario.lookUp
  }

  /** Whether a session can be looked for that is not in memory: it has ended, is elsewhere, or is not taken up at start. */
  get #looksUp(): boolean {
    const {
      expiries = 0,
      ends = 0,
      closes = 0,
      disposals = 0,
      strangers = 0,
      copies = 0,
    } = this.#scenario.budget
    return this.#isShared || expiries + ends + closes + disposals + strangers + copies > 0
  }

  #boxOf(row: Int32Array, who: number): Box {
    const box = row[BOX + who] as number
    return box === UNREAD ? emptyBox() : this.#boxes.get(box)
  }

  #shelfOf(row: Int32Array): Shelf {
    const shelf = row[SHELF] as number
    return shelf === UNREAD ? {} : this.#shelves.get(shelf)
  }

  #slotOf(row: Int32Array, who: number): number {
    for (let slot = 0; slot < MAX_CONNS; slot += 1) {
      const conn = this.#conns.get(row[CONNS + slot] as number)
      if (conn?.client === who && conn.clientOpen) return slot
    }
    return -1
  }

  #isBusy(row: Int32Array, node: number, conn: number): boolean {
    const process = row[NODE + node] as number
    const key = process * 16 + conn
    let busy = this.#busy.get(key)
    if (busy === undefined) {
      busy = this.#servers.busy(process, conn)
      this.#busy.set(key, busy)
    }
    return busy
  }

  #change(next: Int32Array, slot: number, change: number, item: number): void {
    const before = next[CONNS + slot] as number
    const key = (before * 8 + change) * 131072 + item + 65536
    let after = this.#changes.get(key)
    if (after === undefined) {
      after = this.#conns.id(changed(this.#conns.get(before) as Connection, change, item))
      this.#changes.set(key, after)
    }
    next[CONNS + slot] = after
  }

  #clientStep(next: Int32Array, who: number, code: number, event: () => ClientEvent): string {
    const from = next[CLIENT + who] as number
    const steps = this.#clientSteps[from] ?? new Map<number, Step>()
    this.#clientSteps[from] = steps
    let step = steps.get(code)
    if (step === undefined) {
      const outcome = this.#clients.step(from, event())
      const broken = outcome.violation || brokenClient(this.#clients.all.get(outcome.next), this.#scenario)
      step = this.#small(outcome, broken)
      steps.set(code, step)
    }
    next[CLIENT + who] = step.next
    return step.violation || this.#carryOut(next, step.effects, `client${who}`, who, NOBODY)
  }

  #serverStep(next: Int32Array, node: number, code: number, event: () => ServerEvent): string {
    const from = next[NODE + node] as number
    const steps = this.#serverSteps[from] ?? new Map<number, Step>()
    this.#serverSteps[from] = steps
    let step = steps.get(code)
    if (step === undefined) {
      const outcome = this.#servers.step(from, event())
      const broken = outcome.violation || brokenServer(this.#servers.all.get(outcome.next), this.#scenario)
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
        return { ...none, conn: effect.conn, item: this.#frames.id(effect.frame) }
      case 'hangUp':
        return { ...none, conn: effect.conn, item: -effect.code }
      case 'note':
        return { ...none, item: this.#facts.id(effect.note) }
      case 'start': {
        const { sid, number, message, flagged } = effect
        // The process that it begins in is written in when it is known.
        const item = this.#facts.id(`start ${message} ${sid} ${number} BY ${flagged ? 'flagged' : 'new'}`)
        return { ...none, item, sid, number }
      }
    }
  }

  #carryOut(next: Int32Array, effects: readonly Small[], by: string, who: number, node: number): string {
    for (const effect of effects) {
      const { conn, item, sid, number } = effect
      switch (effect.do) {
        case 'send': {
          const slot = node === NOBODY ? this.#slotOf(next, who) : conn - 1
          if (slot < 0) return `${by} sends ${this.#frames.get(item)} without a connection`
          const connection = this.#conns.get(next[CONNS + slot] as number)
          if (node !== NOBODY && !(connection?.serverOpen && connection.node === node))
            return `${by} sends ${this.#frames.get(item)} on a connection that is over`
          if (connection?.client === NOBODY) return `a stranger is told ${this.#frames.get(item)}`
          this.#change(next, slot, node === NOBODY ? CHANGE.up : CHANGE.down, item)
          break
        }
        case 'hangUp': {
          const slot = node === NOBODY ? this.#slotOf(next, who) : conn - 1
          if (slot < 0) break
          if (node !== NOBODY && !this.#conns.get(next[CONNS + slot] as number)?.serverOpen)
            return `${by} hangs up connection ${conn}, which is over`
          // 1006 is no word: the line is dropped.
          const said = item === -1006 ? 0 : item
          this.#change(next, slot, node === NOBODY ? CHANGE.clientEnds : CHANGE.serverEnds, said)
          if (this.#conns.get(next[CONNS + slot] as number)?.client === NOBODY) next[CONNS + slot] = 0
          break
        }
        case 'start': {
          const box = node === NOBODY ? this.#boxOf(next, who) : this.#shelfOf(next)[sid]
          if (box?.session?.sid === sid && box.session.rx >= number)
            return `message ${number} of ${sid} is handled again although that it was had been recorded`
          const violation = this.#witness(next, this.#by(item, by))
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
      fact = this.#facts.id(this.#facts.get(item).replace('BY', by))
      this.#named.set(key, fact)
    }
    return fact
  }

  #note(next: Int32Array, item: number): string {
    const fact = this.#facts.get(item)
    if (fact.startsWith('protocol error')) return fact
    if (fact.startsWith('lost ')) {
      const { mayLose } = this.#scenario
      return mayLose.some((reason) => fact === `lost ${reason}`) ? '' : `a session is lost: ${fact.slice(5)}`
    }
    return this.#witness(next, item)
  }

  #witness(next: Int32Array, item: number): string {
    const before = next[HISTORY] as number
    const key = before * 65536 + item
    let after = this.#witnessed.get(key)
    if (after === undefined) {
      const history = copy(this.#histories.get(before))
      try {
        witness(history, this.#facts.get(item), (this.#scenario.budget.copies ?? 0) > 0)
        after = this.#histories.id(history)
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

function rxOf(shelf: Shelf): Record<string, number> {
  return Object.fromEntries(Object.entries(shelf).map(([sid, { session }]) => [sid, session?.rx ?? 0]))
}
