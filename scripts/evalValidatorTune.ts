// Learns the weights of sql/evidence.ts: a logistic regression over runs of tokens, by stochastic gradient steps with a
// step size of its own for each weight (Adagrad). The same input gives the same weights.

import { findInForms } from '../src/security/detect/decode.ts'
import { readings } from '../src/security/detect/sql/evidence.ts'
import type { Random } from './adversarialSql.ts'

/** The runs of each form of a text, as numbers. */
export type Forms = readonly Int32Array[]

export interface Model {
  readonly weights: Float64Array
  /** Of the most suspicious form. */
  score(forms: Forms): number
}

const ROUNDS = 6
/** A run that was seen in fewer texts than this is chance. */
const LEAST_SEEN = 4
const RATE = 0.3
const DECAY = 1e-3
/** Attacks together weigh this share of what ordinary texts weigh. */
const ATTACK_SHARE = 0.15

/** Every run of up to three signs in a text, once. */
function runsOf(text: string): Set<string> {
  const runs = new Set<string>()
  for (const signs of readings(text)) {
    for (let end = 0; end < signs.length; end++) {
      for (let start = Math.max(0, end - 2); start <= end; start++)
        runs.add(signs.slice(start, end + 1).join(' '))
    }
  }
  return runs
}

/** Numbers the runs of texts; one for all the sets that are compared. */
export class Vocabulary {
  readonly #numbers = new Map<string, number>()

  get size(): number {
    return this.#numbers.size
  }

  names(): string[] {
    return [...this.#numbers.keys()]
  }

  /** The runs of every form that decoding gives. */
  forms(text: string): Forms {
    const all: Int32Array[] = []
    findInForms(text, (form) => {
      const numbers: number[] = []
      for (const run of runsOf(form)) {
        let number = this.#numbers.get(run)
        if (number === undefined) {
          number = this.#numbers.size
          this.#numbers.set(run, number)
        }
        numbers.push(number)
      }
      all.push(Int32Array.from(numbers))
      return null
    })
    return all
  }
}

function shuffle<T>(list: T[], random: Random): void {
  for (let at = list.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    const kept = list[at] as T
    list[at] = list[other] as T
    list[other] = kept
  }
}

/** How often each run was seen. */
function countRuns(size: number, sets: readonly (readonly Forms[])[]): Int32Array {
  const counts = new Int32Array(size)
  for (const set of sets) {
    for (const forms of set) {
      for (const run of forms[0] ?? []) counts[run] = (counts[run] as number) + 1
      if (forms.length > 1) {
        for (const run of forms.at(-1) as Int32Array) counts[run] = (counts[run] as number) + 1
      }
    }
  }
  return counts
}

/** Learns from texts that are attacks and texts that are not. @param limit how many weights may be left at most */
export function train(
  size: number,
  attacks: readonly Forms[],
  ordinary: readonly Forms[],
  random: Random,
  limit = Infinity,
): Model {
  const counts = countRuns(size, [attacks, ordinary])
  let allowed = Uint8Array.from(counts, (count) => (count >= LEAST_SEEN ? 1 : 0))
  let weights = descend(size, attacks, ordinary, random, allowed)
  if (limit < size) {
    // What moves the verdict most, over all texts, stays; then the rest learns to do without the others.
    const worth = Array.from(weights, (weight, run) => ({
      run,
      worth: Math.abs(weight) * Math.sqrt(counts[run] as number),
    }))
    worth.sort((a, b) => b.worth - a.worth)
    allowed = new Uint8Array(size)
    for (const { run } of worth.slice(0, limit)) allowed[run] = 1
    weights = descend(size, attacks, ordinary, random, allowed)
  }
  const rounded = weights.map((weight) => Math.round(weight * 8))
  return { weights: rounded, score: (forms) => best(rounded, forms).score }
}

function sum(weights: Float64Array, form: Int32Array): number {
  let score = 0
  for (const run of form) score += weights[run] as number
  return score
}

function best(weights: Float64Array, forms: Forms): { form: Int32Array; score: number } {
  let form = forms[0] as Int32Array
  let score = sum(weights, form)
  for (let at = 1; at < forms.length; at++) {
    const next = sum(weights, forms[at] as Int32Array)
    if (next > score) {
      score = next
      form = forms[at] as Int32Array
    }
  }
  return { form, score }
}

function descend(
  size: number,
  attacks: readonly Forms[],
  ordinary: readonly Forms[],
  random: Random,
  allowed: Uint8Array,
): Float64Array {
  const weights = new Float64Array(size)
  const squares = new Float64Array(size).fill(1e-6)
  const gain = (ATTACK_SHARE * ordinary.length) / Math.max(1, attacks.length)
  const items = [
    ...attacks.map((forms) => ({ forms, attack: true })),
    ...ordinary.map((forms) => ({ forms, attack: false })),
  ]
  for (let round = 0; round < ROUNDS; round++) {
    shuffle(items, random)
    for (const { forms, attack } of items) {
      // An attack is one in the form that shows it; an ordinary text must be none in any form, the worst above all.
      const { form, score } = best(weights, forms)
      const chance = 1 / (1 + Math.exp(-score))
      const error = attack ? gain * (1 - chance) : -chance
      if (Math.abs(error) < 1e-4) continue
      for (const run of form) {
        if (allowed[run] === 0) continue
        const gradient = error - DECAY * (weights[run] as number)
        squares[run] = (squares[run] as number) + gradient * gradient
        weights[run] = (weights[run] as number) + (RATE * gradient) / Math.sqrt(squares[run] as number)
      }
    }
  }
  return weights
}

/** Weights as sql/weights.ts has them: by weight, the runs. */
export function weightsTable(vocabulary: Vocabulary, model: Model): Record<string, string> {
  const lists = new Map<number, string[]>()
  for (const [number, run] of vocabulary.names().entries()) {
    const weight = model.weights[number] ?? 0
    if (weight !== 0) lists.set(weight, [...(lists.get(weight) ?? []), run])
  }
  return Object.fromEntries(
    [...lists].sort(([a], [b]) => b - a).map(([weight, runs]) => [weight, runs.sort().join('  ')]),
  )
}
