// Breadth first over all states of a world, so that a violation comes with a shortest trace. States are kept as rows of
// numbers in flat arrays and compared number by number: no hash stands for a state.

import { WIDTH } from './parts.ts'
import type { World } from './world.ts'

export interface Report {
  readonly states: number
  readonly transitions: number
  /** States in which nothing happens by itself any more. */
  readonly quiet: number
  readonly depth: number
  /** Of processor time. */
  readonly seconds: number
  /** Empty when all is well. */
  readonly violation: string
  /** How it comes about, in words. */
  readonly trace: readonly string[]
}

const CHUNK = 1 << 16

/** A list of numbers that grows without being copied. */
class Numbers {
  readonly #chunks: Int32Array[] = []
  length = 0

  push(value: number): void {
    const at = this.length & (CHUNK - 1)
    if (at === 0) this.#chunks.push(new Int32Array(CHUNK))
    ;(this.#chunks[this.#chunks.length - 1] as Int32Array)[at] = value
    this.length += 1
  }

  get(index: number): number {
    return (this.#chunks[index >>> 16] as Int32Array)[index & (CHUNK - 1)] as number
  }
}

/** All rows, each once; a row's number is its place in the order of finding. */
class Rows {
  readonly #chunks: Int32Array[] = []
  #slots = new Int32Array(1 << 16)
  length = 0

  read(index: number, into: Int32Array): void {
    const from = (index & (CHUNK - 1)) * WIDTH
    into.set((this.#chunks[index >>> 16] as Int32Array).subarray(from, from + WIDTH))
  }

  /** The number of a row; it is new if that is the `length` before. */
  add(row: Int32Array): number {
    if (this.length * 2 > this.#slots.length) this.#grow()
    const mask = this.#slots.length - 1
    let slot = hash(row, 0) & mask
    for (let known = this.#slots[slot] as number; known !== 0; known = this.#slots[slot] as number) {
      if (this.#isAt(known - 1, row)) return known - 1
      slot = (slot + 1) & mask
    }
    const index = this.length
    if ((index & (CHUNK - 1)) === 0) this.#chunks.push(new Int32Array(CHUNK * WIDTH))
    ;(this.#chunks[index >>> 16] as Int32Array).set(row, (index & (CHUNK - 1)) * WIDTH)
    this.#slots[slot] = index + 1
    this.length += 1
    return index
  }

  #isAt(index: number, row: Int32Array): boolean {
    const chunk = this.#chunks[index >>> 16] as Int32Array
    const from = (index & (CHUNK - 1)) * WIDTH
    for (let at = 0; at < WIDTH; at += 1) if (chunk[from + at] !== row[at]) return false
    return true
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 4)
    const mask = slots.length - 1
    for (let index = 0; index < this.length; index += 1) {
      const chunk = this.#chunks[index >>> 16] as Int32Array
      let slot = hash(chunk, (index & (CHUNK - 1)) * WIDTH) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = index + 1
    }
    this.#slots = slots
  }
}

/** Where a row is looked for first (multiply and xor, with the finish of MurmurHash3). */
function hash(row: Int32Array, from: number): number {
  let value = 0
  for (let at = from; at < from + WIDTH; at += 1) {
    value = Math.imul(value ^ (row[at] as number), 0x9e3779b1)
    value ^= value >>> 15
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  return value ^ (value >>> 13)
}

/** Explores all of a world, or up to its first violation, or up to `limit` states (which is reported as one). */
export function explore(world: World, limit = 30_000_000): Report {
  const startedAt = process.cpuUsage().user
  const rows = new Rows()
  const parents = new Numbers()
  const choices = new Numbers()
  const depths = new Numbers()
  const free = { from: new Numbers(), to: new Numbers() }
  const quiet: number[] = []
  let transitions = 0
  let violation = ''
  let culprit = { parent: -1, choice: -1 }

  rows.add(world.initial())
  for (const list of [parents, choices]) list.push(-1)
  depths.push(0)
  const row = new Int32Array(WIDTH)
  let at = 0
  for (; at < rows.length && violation === ''; at += 1) {
    rows.read(at, row)
    let choice = -1
    let isQuiet = true
    world.successors(row, (next, isFree, _label, wrong) => {
      choice += 1
      transitions += 1
      if (isFree) isQuiet = false
      if (violation !== '') return
      if (wrong !== '') {
        violation = wrong
        culprit = { parent: at, choice }
        return
      }
      const known = rows.length
      const index = rows.add(next)
      if (isFree && index !== at) {
        free.from.push(at)
        free.to.push(index)
      }
      if (index !== known) return
      parents.push(at)
      choices.push(choice)
      depths.push(depths.get(at) + 1)
    })
    if (isQuiet && violation === '') {
      quiet.push(at)
      violation = world.unfinished(row)
      culprit = { parent: at, choice: -1 }
    }
    if (rows.length > limit && violation === '') {
      violation = `more than ${limit} states`
      culprit = { parent: at, choice: -1 }
    }
  }
  if (violation === '') {
    const stuck = unsettled(rows.length, free, quiet)
    if (stuck >= 0) {
      violation = 'from here nothing ever comes to rest'
      culprit = { parent: stuck, choice: -1 }
    }
  }

  const trace: string[] = []
  if (violation !== '') {
    let { parent, choice } = culprit
    while (parent >= 0) {
      if (choice >= 0) trace.unshift(labelOf(world, rows, parent, choice))
      choice = choices.get(parent)
      parent = parents.get(parent)
    }
  }
  return {
    states: rows.length,
    transitions,
    quiet: quiet.length,
    depth: depths.get(rows.length - 1),
    seconds: (process.cpuUsage().user - startedAt) / 1e6,
    violation,
    trace,
  }
}

function labelOf(world: World, rows: Rows, index: number, choice: number): string {
  const row = new Int32Array(WIDTH)
  rows.read(index, row)
  let at = -1
  let text = ''
  world.successors(row, (_next, _free, label) => {
    at += 1
    if (at === choice) text = label()
  })
  return text
}

/** The first state from which no quiet one can be reached by what happens of itself; -1 when there is none. */
function unsettled(length: number, free: { from: Numbers; to: Numbers }, quiet: readonly number[]): number {
  // Who comes before: a linked list of edges for each state.
  const heads = new Int32Array(length).fill(-1)
  const links = new Int32Array(free.from.length)
  for (let edge = 0; edge < links.length; edge += 1) {
    const to = free.to.get(edge)
    links[edge] = heads[to] as number
    heads[to] = edge
  }
  const settles = new Uint8Array(length)
  const queue = new Int32Array(length)
  let end = 0
  for (const state of quiet) {
    settles[state] = 1
    queue[end] = state
    end += 1
  }
  for (let at = 0; at < end; at += 1) {
    for (let edge = heads[queue[at] as number] as number; edge >= 0; edge = links[edge] as number) {
      const from = free.from.get(edge)
      if (settles[from] === 1) continue
      settles[from] = 1
      queue[end] = from
      end += 1
    }
  }
  return settles.indexOf(0)
}
