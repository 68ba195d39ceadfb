// Addresses of pages. Pure.

/** Leave out an anchor, but not a route behind `#/` or `#!`: what stays tells pages apart. */
export const withoutAnchor = (url: string): string => url.replace(/#(?![/!]).*/, "");
