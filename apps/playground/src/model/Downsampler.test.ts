import { describe, expect, it } from 'vitest'
import { CHUNK_SAMPLES, Downsampler, loudness } from './Downsampler.ts'

const sine = (rate: number, seconds: number, hertz: number) =>
  Float32Array.from({ length: rate * seconds }, (_, index) => Math.sin((2 * Math.PI * hertz * index) / rate))

/** How often the wave goes up through zero. */
function periods(samples: readonly number[]): number {
  return samples.filter((sample, index) => index > 0 && sample >= 0 && (samples[index - 1] as number) < 0)
    .length
}

describe('Downsampler', () => {
  it.each([16_000, 44_100, 48_000, 96_000])(
    'makes 16 kHz of %d Hz, and the tone stays what it was',
    (rate) => {
      const downsampler = new Downsampler(rate)
      const chunks: Int16Array[] = []
      const recorded = sine(rate, 1, 440)
      for (let at = 0; at < recorded.length; at += 1024) {
        chunks.push(...downsampler.push(recorded.subarray(at, at + 1024)))
      }
      expect(chunks.every((chunk) => chunk.length === CHUNK_SAMPLES)).toBe(true)
      // A second is 50 chunks; the last may still be filling.
      expect(chunks.length).toBeGreaterThanOrEqual(49)
      const tone = chunks.flatMap((chunk) => [...chunk])
      expect(periods(tone)).toBeGreaterThanOrEqual(430)
      expect(periods(tone)).toBeLessThanOrEqual(440)
      expect(Math.max(...tone)).toBeGreaterThan(30_000)
    },
  )

  it('hands over chunks that it does not write into again', () => {
    const downsampler = new Downsampler(16_000)
    const [first] = downsampler.push(new Float32Array(CHUNK_SAMPLES).fill(0.5))
    downsampler.push(new Float32Array(CHUNK_SAMPLES).fill(-1))
    expect(first?.[0]).toBe(Math.trunc(0.5 * 0x7fff))
  })

  it('clips what is too loud instead of turning it round', () => {
    const [chunk] = new Downsampler(16_000).push(new Float32Array(CHUNK_SAMPLES).fill(3))
    expect(chunk?.[0]).toBe(0x7fff)
  })
})

it('loudness goes from 0 for silence to 1 for all there is', () => {
  const level = (value: number) => loudness(new Int16Array(CHUNK_SAMPLES).fill(value))
  expect(level(0)).toBe(0)
  expect(level(0x7fff)).toBe(1)
  expect(level(3277)).toBeCloseTo(0.6, 2)
})
