// The browser's storage, which may be full, forbidden or absent: then nothing is kept, and nothing breaks.

export const attempt = <T>(action: () => T): T | void => {
  try {
    return action();
  } catch {}
};

/** Make an id that nobody else has; pages without TLS have no `randomUUID`. */
export const makeId = (): string => crypto.randomUUID?.() || Date.now() + "-" + Math.random();
