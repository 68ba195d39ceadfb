// Page views: the page that is opened, and those that a site tells of. What follows them is in the second part.
import { event } from "./events";
import type { Grove } from "./grove";

export const page: Grove["page"] = (url) => event("page_view", {}, url && { page: { url } });
