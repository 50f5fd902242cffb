import { describe, expect, it } from 'vitest'
import { Samples } from './Samples.ts'

describe('Samples', () => {
  it('gives those of its window, and their median', () => {
    const samples = new Samples(100)
    for (const [at, value] of [
      [0, 9],
      [40, 1],
      [80, 5],
      [120, 3],
    ] as const)
      samples.add(value, at)
    expect(samples.within(140)).toEqual([
      { at: 40, value: 1 },
      { at: 80, value: 5 },
      { at: 120, value: 3 },
    ])
    expect(samples.median(140)).toBe(3)
    expect(samples.last).toBe(3)
  })

  it('has no median of nothing', () => {
    const samples = new Samples(100)
    expect(samples.median(0)).toBeUndefined()
    samples.add(7, 0)
    expect(samples.median(500)).toBeUndefined()
  })

  it('as steps begins with the value that held before the window', () => {
    const samples = new Samples(100)
    samples.change(0, 0)
    samples.change(2, 50)
    samples.change(2, 60)
    samples.change(0, 170)
    expect(samples.steps(200)).toEqual([
      { at: 100, value: 2 },
      { at: 170, value: 0 },
    ])
  })

  it('forgets what no window can show any more', () => {
    const samples = new Samples(100)
    for (let at = 0; at < 100_000; at += 10) samples.add(at, at)
    expect(samples.steps(100_000).length).toBeLessThan(13)
  })
})
