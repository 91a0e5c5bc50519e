/* Cuts a file system off from its disk, as a power cut does: ext4 stops at once, without writing out its log or anything
 * else that is not on the disk yet (EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH). Used by the gate `power`. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define NOLOGFLUSH 2

int main(int count, char **words) {
    uint32_t flags = NOLOGFLUSH;
    int fd = count == 2 ? open(words[1], O_RDONLY | O_DIRECTORY) : -1;
    if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &flags) != 0) {
        perror(count == 2 ? words[1] : "cut DIRECTORY");
        return 1;
    }
    return 0;
}
