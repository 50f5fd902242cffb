import { expect, it } from 'vitest'
import { Rest } from './Rest.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

function waiting(rest: Rest) {
  const one = { isAtRest: false, looks: 0, resolved: false, stop: () => {} }
  const { promise, stop } = rest.when(() => {
    one.looks += 1
    return one.isAtRest
  })
  one.stop = stop
  void promise.then(() => {
    one.resolved = true
  })
  return one
}

it('resolves at the first look that finds rest, and looks no more', async () => {
  const rest = new Rest()
  const one = waiting(rest)
  rest.look()
  await turn()
  expect(one).toMatchObject({ looks: 2, resolved: false })
  one.isAtRest = true
  rest.look()
  await turn()
  expect(one).toMatchObject({ looks: 3, resolved: true })
  rest.look()
  await turn()
  expect(one.looks).toBe(3)
})

it('what is at rest already is seen at once', async () => {
  await new Rest().when(() => true).promise
})

it('looks once a turn, however much has come to rest', async () => {
  const rest = new Rest()
  const one = waiting(rest)
  for (let n = 0; n < 100; n += 1) rest.look()
  await turn()
  expect(one.looks).toBe(2)
})

it('who has stopped waiting is left alone, the others are not', async () => {
  const rest = new Rest()
  const [one, other] = [waiting(rest), waiting(rest)]
  one.stop()
  one.isAtRest = true
  other.isAtRest = true
  rest.look()
  await turn()
  expect([one.resolved, other.resolved]).toEqual([false, true])
})
