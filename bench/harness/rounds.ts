// Who runs when. Contestants take turns in short slices; the reference runs between every few of them,
// and a slice is compared with the reference slices just before and after it. So a machine that slows down
// or speeds up in mid-run moves both sides of a ratio, and the median over rounds drops what is left.

import { reason } from './reason.ts'
import { type Summary, seededRandom, shuffled, summarize } from './statistics.ts'

/** One slice's figures by name, such as operations per second or CPU per operation. */
export type Sample = Record<string, number>

export interface Contest {
  /** Figures of each contestant, summed up over all slices. */
  figures: Record<string, Record<string, Summary>>
  /** Each contestant's figures divided by the reference's around it. */
  ratios: Record<string, Record<string, Summary>>
  /** Who could not run, and why. */
  failures: Record<string, string>
}

const REFERENCE_EVERY = 3

/**
 * Lets `contestants` take turns for `rounds` rounds, in a new order each.
 * @param slice runs one slice of one contestant; one that throws is out of the contest and named in `failures`
 */
export async function takeTurns(
  reference: string,
  contestants: readonly string[],
  rounds: number,
  seed: number,
  slice: (contestant: string) => Promise<Sample>,
  collected = new Collector(),
): Promise<Collector> {
  const random = seededRandom(seed)
  for (let round = 0; round < rounds; round += 1) {
    const order = shuffled(
      contestants.filter((id) => id !== reference && !collected.failures[id]),
      random,
    )
    let before = await slice(reference)
    for (let at = 0; at < order.length || at === 0; at += REFERENCE_EVERY) {
      const group: [string, Sample][] = []
      for (const id of order.slice(at, at + REFERENCE_EVERY)) {
        try {
          group.push([id, await slice(id)])
        } catch (error) {
          collected.failures[id] = reason(error)
        }
      }
      const after = await slice(reference)
      for (const [id, sample] of group) collected.add(id, sample, mean(before, after))
      collected.add(reference, after, mean(before, after))
      before = after
    }
  }
  return collected
}

function mean(one: Sample, other: Sample): Sample {
  return Object.fromEntries(
    Object.keys(one).map((name) => [name, ((one[name] ?? 0) + (other[name] ?? 0)) / 2]),
  )
}

/** Gathers slices over rounds and over generations of processes. */
export class Collector {
  readonly failures: Record<string, string> = {}
  readonly #samples = new Map<string, { sample: Sample; reference: Sample }[]>()

  add(id: string, sample: Sample, reference: Sample): void {
    const list = this.#samples.get(id) ?? []
    list.push({ sample, reference })
    this.#samples.set(id, list)
  }

  result(): Contest {
    const contest: Contest = { figures: {}, ratios: {}, failures: this.failures }
    for (const [id, list] of this.#samples) {
      const names = Object.keys(list[0]?.sample ?? {})
      contest.figures[id] = Object.fromEntries(
        names.map((name) => [name, summarize(list.map(({ sample }) => sample[name] ?? Number.NaN))]),
      )
      contest.ratios[id] = Object.fromEntries(
        names.map((name) => [
          name,
          summarize(
            list.map(
              ({ sample, reference }) => (sample[name] ?? Number.NaN) / (reference[name] ?? Number.NaN),
            ),
          ),
        ]),
      )
    }
    return contest
  }
}
