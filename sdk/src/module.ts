// The whole as a module, for sites that are built with npm.
import type { Grove, Options } from "./grove";
import { start as startFirst } from "./start";
import { watch } from "./watch";

export const start = (options: Options): Grove => startFirst(options, watch);
