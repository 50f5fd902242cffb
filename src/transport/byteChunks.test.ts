import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ByteChunks } from './byteChunks.ts'

it('gives back what it was given, in order, whatever the sizes', () => {
  const size = fc.oneof(fc.nat(5), fc.nat(3000), fc.constantFrom(0, 1023, 1024, 4095, 4096, 4097))
  fc.assert(
    fc.property(fc.array(size, { maxLength: 60 }), (sizes) => {
      const chunks = new ByteChunks()
      let next = 0
      const all: number[] = []
      for (const length of sizes) {
        const chunk = Uint8Array.from({ length }, () => next++ & 255)
        all.push(...chunk)
        chunks.add(chunk)
        // Whoever gave it may use its memory again, where it is small.
        if (length < 1024) chunk.fill(0)
      }
      expect(Buffer.compare(chunks.whole(), Uint8Array.from(all))).toBe(0)
    }),
  )
})

it('is empty without chunks', () => {
  expect(new ByteChunks().whole().byteLength).toBe(0)
})
