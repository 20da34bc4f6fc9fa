//! POSIX access control lists in the kernel's format (include/uapi/linux/posix_acl_xattr.h): a version
//! of 4 bytes, then entries of 8 bytes with tag, permissions and id, all little-endian.

const VERSION: [u8; 4] = 2_u32.to_le_bytes();
const GROUP_OBJ: u16 = 0x04;
const MASK: u16 = 0x10;

/// Returns the permission bits that the list grants the owning group, at their place in a file mode. 0
/// if the list is malformed.
pub(super) fn owning_groups_permissions(list: &[u8]) -> u32 {
    let Some(entries) = list.strip_prefix(&VERSION) else {
        return 0;
    };
    let permissions_of = |wanted| {
        entries.chunks_exact(8).find_map(|entry| {
            let tag = u16::from_le_bytes([entry[0], entry[1]]);
            let permissions = u16::from_le_bytes([entry[2], entry[3]]);
            (tag == wanted).then_some(permissions)
        })
    };
    let group = permissions_of(GROUP_OBJ).unwrap_or(0) & permissions_of(MASK).unwrap_or(0o7);
    u32::from(group & 0o7) << 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let mut list = VERSION.to_vec();
        for (tag, permissions) in entries {
            list.extend(tag.to_le_bytes());
            list.extend(permissions.to_le_bytes());
            list.extend([0; 4]);
        }
        list
    }

    #[test]
    fn the_group_gets_what_both_its_entry_and_the_mask_grant() {
        let named = (0x02, 6);
        let cases = [
            (
                list(&[(1, 6), named, (GROUP_OBJ, 0), (MASK, 6), (0x20, 0)]),
                0,
            ),
            (
                list(&[(1, 6), named, (GROUP_OBJ, 7), (MASK, 4), (0x20, 0)]),
                0o40,
            ),
            (list(&[(1, 6), (GROUP_OBJ, 5), (0x20, 0)]), 0o50),
            (vec![], 0),
            (vec![1, 0, 0, 0], 0),
        ];
        for (list, expected) in cases {
            assert_eq!(owning_groups_permissions(&list), expected, "{list:?}");
        }
    }
}
