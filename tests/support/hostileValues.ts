// What code of an app may do when it is called, beside what it should.

const fails = () => {
  throw new Error('a trap')
}

const trapped = () =>
  new Proxy(() => {}, {
    get: fails,
    has: fails,
    apply: fails,
    getPrototypeOf: fails,
    ownKeys: fails,
    getOwnPropertyDescriptor: fails,
  })

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** Names, and functions that fail, or give something that does when it is looked at. */
export const booby: readonly (readonly [string, () => unknown])[] = [
  ['a throw', fails],
  [
    'a throw of nothing',
    () => {
      throw undefined
    },
  ],
  [
    'a throw of what cannot be looked at',
    () => {
      throw trapped()
    },
  ],
  ['a rejection', () => Promise.reject(new Error('no'))],
  ['a rejection with nothing', () => Promise.reject()],
  ['a rejection with what cannot be looked at', () => Promise.reject(trapped())],
  // biome-ignore lint/suspicious/noThenProperty: that is what is tried
  ['a thenable that throws', () => ({ then: fails })],
  [
    'a thenable that cannot be asked',
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tried
      get then() {
        return fails()
      },
    }),
  ],
  [
    'a thenable that rejects',
    // biome-ignore lint/suspicious/noThenProperty: that is what is tried
    () => ({ then: (_: unknown, reject: (e: Error) => void) => reject(new Error('no')) }),
  ],
  ['a trap', trapped],
  ['a revoked proxy', revoked],
  ['an object without a prototype', () => Object.create(null)],
  ['a symbol', () => Symbol('x')],
]

/** What `authenticate` may give that names nobody. */
export const nobodies: readonly (readonly [string, () => unknown])[] = [
  ...booby,
  ['undefined', () => undefined],
  ['null', () => null],
  ['false', () => false],
  ['true', () => true],
  ['0', () => 0],
  ['1', () => 1],
  ['NaN', () => Number.NaN],
  ['an empty string', () => ''],
  ['an empty string, later', async () => ''],
  ['null, later', async () => null],
  ['an object', () => ({ name: 'ada' })],
  ['a String object', () => new String('ada')],
  ['an array', () => ['ada']],
  ['a function', () => () => 'ada'],
  ['a bigint', () => 1n],
]
